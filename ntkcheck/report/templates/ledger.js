// Filters of the ledger: what is checked or typed narrows the rows; nothing checked is everything.
"use strict";
(() => {
  const form = document.getElementById("filters");
  const rows = [...document.querySelectorAll("#ledger tr.claim")];
  const groups = [...document.querySelectorAll("#ledger tbody")];

  const chosen = (name) =>
    new Set([...form.querySelectorAll(`input[name="${name}"]:checked`)].map((box) => box.value));

  function narrow() {
    const words = form.elements.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const papers = chosen("paper");
    const verdicts = chosen("verdict");
    const marks = chosen("mark");
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !(
        (!papers.size || papers.has(row.dataset.paper)) &&
        (!verdicts.size || verdicts.has(row.dataset.verdict)) &&
        (!marks.size || row.dataset.marks.split(" ").some((mark) => marks.has(mark))) &&
        words.every((word) => text.includes(word))
      );
      shown += !row.hidden;
    }
    for (const group of groups) group.hidden = !group.querySelector("tr.claim:not([hidden])");
    document.getElementById("shown").textContent = `${shown} of ${rows.length} claims`;
    document.getElementById("nothing").hidden = shown > 0;
  }

  form.hidden = false;
  form.addEventListener("input", narrow);
  form.addEventListener("reset", () => setTimeout(narrow));
  form.addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("pageshow", narrow); // a browser that comes back restores what was typed
})();
