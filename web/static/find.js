// Results while typing, and numbers to copy. Everything on the page works without this script, by the search button.
"use strict";

const form = document.getElementById("search");
const results = document.getElementById("results");

function start(box) {
  let waiting = 0;
  let current = null;

  async function show() {
    if (current) current.abort();
    current = new AbortController();
    const url = form.dataset.suggestions + "?" + new URLSearchParams({ q: box.value });
    try {
      const answer = await fetch(url, { signal: current.signal, headers: { Accept: "text/html" } });
      if (answer.redirected || answer.status === 401) location.reload(); // signed out meanwhile
      else if (answer.ok && !results.contains(document.activeElement)) results.innerHTML = await answer.text(); // made by this node's own template
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    }
  }

  function settle() {
    clearTimeout(waiting);
    if (current) current.abort();
  }

  box.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(show, 120);
  });
  form.addEventListener("keydown", step);
  results.addEventListener("keydown", step);

  // Arrows go from the box through the results and back; Escape empties the box.
  function step(event) {
    const links = [...results.querySelectorAll("a")];
    if (event.key === "ArrowDown") settle(); // whoever chooses from the list wants it to stay
    const at = links.indexOf(document.activeElement);
    if (event.key === "ArrowDown" && at + 1 < links.length) links[at + 1].focus();
    else if (event.key === "ArrowUp" && at > 0) links[at - 1].focus();
    else if (event.key === "ArrowUp" && at === 0) box.focus();
    else if (event.key === "Escape") {
      box.value = "";
      results.replaceChildren();
      box.focus();
    } else return;
    event.preventDefault();
  }
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    const words = button.innerHTML;
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
    setTimeout(() => { button.innerHTML = words; }, 2000);
  });
}

if (form) start(document.getElementById("q"));
