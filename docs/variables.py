"""What nacre reads from the environment, for the page docs/reference.md."""

VARIABLES = (
    (
        "`NACRE_HOME`",
        "folder of nacre's own files: the default store, caches, logs, and what runs; "
        "`.nacre` in the home folder where it is not set",
    ),
    ("`NACRE_CONFIG`", "the configuration file, where `--config` names none"),
    ("`NACRE_STORE`", "URL of the object store, in place of `store` of the configuration"),
    (
        "`NACRE_SERVE__PORT`",
        "`serve: port:`, and any other key of the configuration in the same way: capitals, and two "
        "underscores into a section. A value is written as in the file, a list or a section on one "
        "line. A variable goes before the file, and an option of the command line before both; one "
        "that begins with `NACRE_` and is no key is told of, and not heeded",
    ),
    (
        "`NACRE_TOKEN`",
        "token for everything over HTTP; clients send it, and theirs may be a named one",
    ),
    (
        "`NACRE_PREDICT_TOKEN`",
        "token for asking and looking; the client sends it where `NACRE_TOKEN` is not set",
    ),
    ("`NACRE_URL`", "the remote system that commands act on, in place of `remote: url`"),
    (
        "`NACRE_TOKEN_FILE`",
        "file with the token that clients send to a remote system; goes before `NACRE_TOKEN`",
    ),
    (
        "`NACRE_OIDC_SECRET`",
        "what the service shows the provider of logins (`access: oidc: login:`); none where the "
        "provider knows it as a public client",
    ),
    (
        "`NACRE_S3_ACCESS_KEY`, `NACRE_S3_SECRET_KEY`, `NACRE_S3_SESSION_TOKEN`",
        "credentials of `s3://` addresses; the third only for temporary ones",
    ),
    (
        "`NACRE_S3_NAME_ACCESS_KEY`, `NACRE_S3_NAME_SECRET_KEY`, `NACRE_S3_NAME_SESSION_TOKEN`",
        "credentials of `s3://` addresses with `credentials=name`: another set for each `NAME`, "
        "in capitals, dashes as underscores",
    ),
    (
        "`NACRE_S3_NAME_ROLE_ARN`, `NACRE_S3_NAME_WEB_IDENTITY_TOKEN_FILE`, "
        "`NACRE_S3_NAME_PROFILE`",
        "the same, of a role (with the token of `AWS_WEB_IDENTITY_TOKEN_FILE` where there is no "
        "other), or of a profile",
    ),
    (
        "`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`",
        "the same, where `NACRE_S3_ACCESS_KEY` and `NACRE_S3_SECRET_KEY` are not both set",
    ),
    (
        "`AWS_ROLE_ARN`, `AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_ROLE_SESSION_NAME`",
        "a role, the file with the token that is shown for it, and what the session is called; "
        "without keys in variables ([stores.md](stores.md#credentials))",
    ),
    (
        "`AWS_ENDPOINT_URL_STS`, `AWS_ENDPOINT_URL`",
        "who gives credentials for that token, where it is not Amazon's STS",
    ),
    (
        "`AWS_PROFILE`, `AWS_SHARED_CREDENTIALS_FILE`",
        "a profile, and the file that has it: `default` of `~/.aws/credentials`",
    ),
    (
        "`AWS_CONTAINER_CREDENTIALS_FULL_URI`, `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`, "
        "`AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE`",
        "where a container asks for credentials, and the file with the token that it shows",
    ),
    (
        "`AWS_EC2_METADATA_SERVICE_ENDPOINT`, `AWS_EC2_METADATA_DISABLED`",
        "where the machine is asked for its own, the last of all; `true` leaves that out",
    ),
    (
        "`NACRE_S3_ENDPOINT`, `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`",
        "the server of `s3://` "
        "addresses that name no `endpoint`; the first that is set counts, else Amazon's",
    ),
    (
        "`NACRE_S3_SILENT_S`",
        "seconds of silence after which a request to an S3 store is given up; 10",
    ),
    ("`AWS_REGION`, `AWS_DEFAULT_REGION`", "the region of `s3://` addresses that name no `region`"),
    (
        "`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`",
        "the way to the HTTP API on another machine; loopback is asked without a proxy",
    ),
    (
        "`SSL_CERT_FILE`, `SSL_CERT_DIR`",
        "certificates of authorities that the client trusts; an S3 store reads the first alone",
    ),
    ("`NACRE_DEBUG`", "set to anything: a traceback with an error, as `--debug`"),
    (
        "`RAY_AUTH_MODE`",
        "Ray's own: `disabled` lets whoever reaches Ray run code in it; `nacre up` "
        "starts a Ray that asks for a token, and `nacre doctor` warns",
    ),
    (
        "`RAY_SERVE_ENABLE_HA_PROXY`",
        "Ray's own: `nacre up` sets it, and others of HAProxy, for a Ray "
        "that it starts; a Ray that runs already has its own",
    ),
    (
        "`RAY_JOB_CONFIG_JSON_ENV_VAR`",
        "Ray sets it in jobs, where nacre then asks the system around "
        "the job for its configuration",
    ),
)
"""Names, and what they are for."""

OF_IMAGE = (
    (
        "`NACRE_KEYS`",
        "folder of keys in a container, a file for each variable, by its name; `keys` in "
        "`NACRE_HOME` where it is not set. A token that nobody has given is made there",
    ),
    (
        "`RAY_AUTH_TOKEN`",
        "Ray's own: the token that all nodes of a Ray have; made in that folder, too",
    ),
    ("`NACRE_IMAGE`", "the image of the composition; `nacre`"),
    ("`NACRE_PORT`", "where the composition answers on this machine; 8000"),
)
"""The same, of what the image and the composition read besides."""

OF_TESTS = (
    (
        "`NACRE_DATASETS`, `NACRE_FEATURES`",
        "folders of larger image sets and of cached features, `../shared` where they are not set",
    ),
    ("`NACRE_FUZZ_SECONDS`", "how long each loader is fuzzed, with other examples each time"),
    (
        "`NACRE_SAME_MACHINE`",
        "set to anything: the first store is compared bit for bit, on the machine that wrote it",
    ),
    (
        "`NACRE_PROVE_STORE`, `NACRE_PROVE_KILL`, `NACRE_PROVE_RESTART`",
        "the store that `make "
        "prove-registry` is to use, and the commands that end and start its server",
    ),
    (
        "`NACRE_TEST_S3_ENDPOINT`, `NACRE_TEST_S3_BUCKET`",
        "the server and the bucket of the tests that every store has to pass",
    ),
)
"""The same, of what only tests, benchmarks and proofs read."""
