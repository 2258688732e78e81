"use strict";

// Times are rendered as UTC, so that an unchanged part stays unchanged; here they become "3 min ago".
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "long" });

function tellTimes() {
  for (const element of document.querySelectorAll("time[datetime]")) {
    const seconds = (new Date(element.dateTime) - Date.now()) / 1000;
    const [unit, length] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? UNITS.at(-1);
    const text = relative.format(Math.trunc(seconds / length), unit);
    if (element.textContent !== text) element.textContent = text;
  }
}

// One sentence for the whole page: a part that cannot be refreshed shows old figures.
function tellConnection(lost) {
  const live = document.getElementById("live");
  if (!live) return;  // only the overview lives by itself
  const text = lost ? "Connection lost, figures are old" : "Live";
  live.classList.toggle("live--lost", lost);
  const sentence = live.querySelector(".live__text");
  if (sentence.textContent !== text) sentence.textContent = text;
}

document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && event.detail.requestConfig.verb === "get") event.preventDefault();
});
document.addEventListener("htmx:afterRequest", (event) => tellConnection(!event.detail.successful));
document.addEventListener("htmx:sendError", () => tellConnection(true));
document.addEventListener("htmx:timeout", () => tellConnection(true));
document.addEventListener("htmx:afterSwap", tellTimes);
// A thumbnail that the store cannot give out right now leaves its grey tile instead of a torn picture.
document.addEventListener("error", (event) => {
  if (event.target.classList?.contains("thumb")) event.target.classList.add("thumb--lost");
}, true);

tellTimes();
setInterval(tellTimes, 5000);
