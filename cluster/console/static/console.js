// Makes the pages live. Without it they work by links and forms alone.

const body = document.body;
const connection = document.getElementById("connection");
let at = Number(body.dataset.at);

// Times are written in UTC; here they become local, with UTC as their title.
const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
function localise(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (!time.title && !isNaN(moment)) {
      time.title = time.textContent;
      time.textContent = local.format(moment);
    }
  }
}

// What is told to whoever cannot see the page: the summary, not every bar.
function tell(text) {
  const told = document.getElementById("told");
  if (text && told.textContent !== text) told.textContent = text;
}

const callbacks = {
  // What somebody fills in, marks or has opened stays as it is.
  beforeAttributeUpdated(name, element) {
    return !(["checked", "value", "open"].includes(name) && element.matches("input, textarea, select, details"));
  },
};

function replaceRegion(html) {
  const made = document.createElement("template");
  made.innerHTML = html;
  const region = made.content.firstElementChild;
  const shown = region && document.getElementById(region.id);
  if (!shown) return;
  localise(made.content);
  window.Idiomorph.morph(shown, region, { morphStyle: "outerHTML", ignoreActiveValue: true, restoreFocus: true, callbacks });
  tell(document.getElementById(region.id)?.querySelector("[data-told]")?.textContent);
}

function say(text) {
  connection.hidden = !text;
  connection.textContent = text;
}

function listen() {
  const page = location.pathname + location.search;
  const events = new EventSource(`${body.dataset.events}/events?page=${encodeURIComponent(page)}&after=${body.dataset.after}`);
  events.addEventListener("region", (event) => replaceRegion(event.data));
  events.addEventListener("at", (event) => {
    at = Number(event.data);
    say("");
  });
  events.addEventListener("open", () => {
    say("");
    body.dataset.live = "yes";
  });
  events.addEventListener("error", () => {
    say(`The console does not answer. This is what it showed at ${local.format(new Date(at * 1000))}; it is asked again.`);
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
  });
  window.addEventListener("pagehide", () => events.close(), { once: true });
}

// Keys: / goes to the search; j, k, x and Enter are for lists.
function rows() {
  return [...document.querySelectorAll("table.list tbody tr")].filter((row) => row.querySelector("a, input"));
}

function move(step) {
  const all = rows();
  const here = all.findIndex((row) => row.contains(document.activeElement));
  const next = all[Math.min(all.length - 1, Math.max(0, here + step))];
  (next?.querySelector("th a") ?? next?.querySelector("a, input"))?.focus();
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=checkbox]), textarea, select");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") {
    event.preventDefault();
    document.getElementById("search").focus();
  } else if (event.key === "j" || event.key === "k") {
    move(event.key === "j" ? 1 : -1);
  } else if (event.key === "x") {
    document.activeElement.closest("tr")?.querySelector("input[type=checkbox]")?.click();
  }
});

// Pictures may be pasted where files may be chosen.
document.addEventListener("paste", (event) => {
  const field = document.querySelector("input[type=file][data-paste]");
  const files = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/"));
  if (!field || !files.length) return;
  const chosen = new DataTransfer();
  for (const file of files) chosen.items.add(file);
  field.files = chosen.files;
});

// A folder is packed as a tar here, and sent in place of an archive.
const BLOCK = 512;
function tarHeader(path, size) {
  const header = new Uint8Array(BLOCK);
  const put = (text, at, most) => header.set(new TextEncoder().encode(text).slice(0, most), at);
  const bytes = new TextEncoder().encode(path);
  let cut = 0;
  if (bytes.length > 100) cut = path.indexOf("/", path.length - 101);
  put(cut ? path.slice(cut + 1) : path, 0, 100);
  put("0000644\0", 100, 8);
  put("0000000\0", 108, 8);
  put("0000000\0", 116, 8);
  put(size.toString(8).padStart(11, "0") + "\0", 124, 12);
  put("00000000000\0", 136, 12);
  put("        0", 148, 9);
  put("ustar\x0000", 257, 8);
  if (cut) put(path.slice(0, cut), 345, 155);
  const sum = header.reduce((all, byte) => all + byte, 0);
  put(sum.toString(8).padStart(6, "0") + "\0 ", 148, 8);
  return header;
}

function packed(files) {
  const parts = [];
  for (const file of files) {
    const path = file.webkitRelativePath.split("/").slice(1).join("/");
    if (!path) continue;
    parts.push(tarHeader(path, file.size), file, new Uint8Array((BLOCK - (file.size % BLOCK)) % BLOCK));
  }
  return new File([...parts, new Uint8Array(2 * BLOCK)], "images.tar");
}

for (const row of document.querySelectorAll(".needs-script")) row.hidden = false;
for (const field of document.querySelectorAll("input[data-packs]")) {
  field.addEventListener("change", () => {
    const chosen = new DataTransfer();
    chosen.items.add(packed(field.files));
    document.getElementById(field.dataset.packs).files = chosen.files;
    document.getElementById("packed").textContent = `${field.files.length} files are packed.`;
  });
}

// What takes long is shown while it goes on, and what was filled in and chosen stays.
async function sendAndStay(form, button) {
  const id = button.dataset.stays;
  const answer = await fetch(form.action, { method: "POST", body: new FormData(form, button) });
  if (answer.redirected) return location.assign(answer.url);
  const pieces = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let html = "", piece = await pieces.read(); ; piece = await pieces.read()) {
    html += piece.value ?? "";
    const made = new DOMParser().parseFromString(html, "text/html");
    const found = made.getElementById(id);
    const wrong = made.querySelector("main > [role=alert]");
    if (found && wrong) found.prepend(wrong);
    if (found) replaceRegion(found.outerHTML);
    else if (piece.done) say(wrong?.textContent ?? made.body.textContent.trim());
    if (piece.done) return;
  }
}

document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!button?.dataset.stays) return;
  event.preventDefault();
  if (button.ariaBusy) return;
  button.ariaBusy = "true";
  sendAndStay(event.target, button)
    .catch(() => say("The console does not answer; nothing was checked. Try again."))
    .finally(() => (button.ariaBusy = null));
});

localise(document);
if (body.dataset.events) listen();
