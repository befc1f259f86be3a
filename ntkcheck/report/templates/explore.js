// Draws every chart of the page from the specification beside it.
"use strict";
for (const chart of document.querySelectorAll(".chart")) {
  const spec = JSON.parse(document.getElementById(`${chart.id}-spec`).textContent);
  vegaEmbed(chart, spec, {
    renderer: "svg",
    actions: { export: true, source: false, compiled: false, editor: false },
    downloadFileName: `ntkcheck-${chart.id}`,
  }).then(
    () => {
      chart.querySelector("summary").setAttribute("aria-label", "Save the picture");
      chart.setAttribute("data-drawn", "");
    },
    (error) => console.error(error),
  );
}
