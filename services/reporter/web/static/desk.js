"use strict";

// Keys, focus and what htmx leaves open, for the pages where people decide.
const FIELDS = "input, select, textarea, [contenteditable]";
const keysOn = () => document.getElementById("keys-on")?.checked ?? false;
let explained = "";  // the picture that was asked for stays switched on from image to image

// A button says which verdict its form carries, and which label.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.id !== "verdict") return;
  const button = event.submitter;
  const typed = button?.dataset.labelOf ? document.getElementById(button.dataset.labelOf).value : "";
  form.elements.said.value = button?.dataset.says ?? "";
  form.elements.label.value = button?.dataset.label ?? typed;
  form.elements.new_label.value = button && "new" in button.dataset ? button.dataset.label : "";
}, true);

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && event.target.matches(FIELDS)) return event.target.blur();
  if (event.key === "Enter" && event.target.matches("#verdict input")) {
    event.preventDefault();  // a browser would press the first button, whatever it says
    if (event.target.id === "other-label") document.querySelector("[data-label-of=other-label]").click();
    return;
  }
  const typing = event.target.matches(FIELDS) && event.target.type !== "checkbox";
  if (!keysOn() || typing || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const wanted = document.querySelector(`[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
  if (!wanted || wanted.disabled) return;
  event.preventDefault();
  if (wanted.matches("input")) wanted.focus(); else wanted.click();
});

// The same button again takes the overlay away; the request is not even made.
document.addEventListener("htmx:beforeRequest", (event) => {
  const button = event.detail.elt;
  const method = button.dataset?.explains;
  if (!method) return;
  const isOn = button.getAttribute("aria-pressed") === "true";
  for (const one of document.querySelectorAll("[data-explains]")) one.setAttribute("aria-pressed", "false");
  explained = isOn ? "" : method;
  document.getElementById("explained").replaceChildren();
  if (isOn) event.preventDefault(); else button.setAttribute("aria-pressed", "true");
});

document.addEventListener("htmx:afterSwap", (event) => {
  const target = event.detail.target;
  if (target.id === "sent") {
    const fresh = target.querySelector("[data-renews]");
    const old = target.closest("form")?.elements.nonce;
    if (fresh && old) { (old.length ? old[0] : old).value = fresh.value; fresh.remove(); }
  }
  if (target.id !== "doubt" && target.id !== "table") return;
  document.getElementById("said").replaceChildren();
  if (target.id === "doubt") begin();
});

// The reader of a screen, and the keyboard, go on at the new image.
function begin() {
  document.getElementById("doubt-title")?.focus({ preventScroll: true });
  if (explained) document.querySelector(`[data-explains="${explained}"]`)?.click();
}

function tell(sentence) {
  const place = document.getElementById("said");
  if (!place) return;
  const box = Object.assign(document.createElement("p"), { className: "alert", textContent: sentence });
  box.setAttribute("role", "alert");
  place.replaceChildren(box);
}
const AWAY = "This page's server does not answer. Nothing on the screen is lost: do it again in a moment, it counts once.";
document.addEventListener("htmx:sendError", () => tell(AWAY));
document.addEventListener("htmx:timeout", () => tell(AWAY));

const box = document.getElementById("keys-on");
if (box) {
  box.checked = localStorage.getItem("keys") !== "off";
  box.addEventListener("change", () => localStorage.setItem("keys", box.checked ? "on" : "off"));
}
