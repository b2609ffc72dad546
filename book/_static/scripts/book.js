// What the theme writes into each page, where no script may stand, and what
// it leaves out.

// Where a browser keeps nothing for a page (no cookies, no storage), a store
// for as long as it is open: without one the theme and the search stop.
for (const name of ["localStorage", "sessionStorage"])
  try {
    window[name].getItem("mode");
  } catch {
    const kept = new Map();
    const value = {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, text) => kept.set(key, String(text)),
      removeItem: (key) => kept.delete(key),
    };
    Object.defineProperty(window, name, { value });
  }

// Before anything is drawn: the colours that the reader chose on this site,
// or else prefers on all.
const mode = localStorage.getItem("mode") || "auto";
const dark = matchMedia("(prefers-color-scheme: dark)").matches;
const theme = mode === "auto" ? (dark ? "dark" : "light") : mode;
Object.assign(document.documentElement.dataset, { mode, theme });

// Opened as a file, a page may not fetch another: some things say so.
if (location.protocol === "file:")
  document.documentElement.classList.add("from-file");

// A part that scrolls by itself can be reached and named with the keyboard.
// What lies in a fold has no size until it is opened, so sizes are watched.
const SCROLLING = {
  ".math": "Formula",
  ".highlight pre": "Code",
  ".pst-scrollable-table-container": "Table",
};

function nameIfScrolling(part, name) {
  const scrolls = part.scrollWidth > part.clientWidth;
  const attributes = { tabindex: 0, role: "group", "aria-label": name };
  for (const [key, value] of Object.entries(attributes))
    if (scrolls) part.setAttribute(key, value);
    else part.removeAttribute(key);
}

function watchScrolling() {
  const names = new Map();
  const watcher = new ResizeObserver((entries) => {
    for (const { target } of entries)
      nameIfScrolling(target, names.get(target));
  });
  for (const [selector, name] of Object.entries(SCROLLING))
    for (const part of document.querySelectorAll(selector)) {
      names.set(part, name);
      watcher.observe(part);
    }
}

// `load`, not earlier: the theme sets its own tab stops then.
addEventListener("load", watchScrolling);

addEventListener("DOMContentLoaded", () => {
  for (const button of document.querySelectorAll(".btn-download-pdf-button"))
    button.addEventListener("click", () => print());
  document.querySelector(".bd-search-container input")?.focus();
});
