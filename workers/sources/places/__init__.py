"""Places that sources lie in: folders and prefixes, what they hold, and what is passed over."""
