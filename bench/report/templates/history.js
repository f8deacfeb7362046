"use strict";
// Search in the list, and reading a chart's points by pointer or arrow keys. The page holds all it needs without this.
(() => {
  const search = document.getElementById("search");
  const changed = document.getElementById("changed");
  const count = document.getElementById("count");
  const rows = [...document.querySelectorAll("[data-series]")];
  const texts = rows.map((row) => row.querySelector(".name").textContent.toLowerCase());

  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = new Set();
    rows.forEach((row, i) => {
      const fits = words.every((word) => texts[i].includes(word)) && (!changed.checked || row.hasAttribute("data-changed"));
      row.hidden = !fits;
      if (fits) shown.add(row.dataset.series);
    });
    count.textContent = `${shown.size} shown`;
  };
  if (search) {
    search.addEventListener("input", filter);
    changed.addEventListener("change", filter);
    document.querySelectorAll(".tools[hidden]").forEach((tools) => { tools.hidden = false; });
    filter();
  }

  for (const chart of document.querySelectorAll("svg.chart")) {
    const dots = [...chart.querySelectorAll(".dot")];
    const places = dots.map((dot) => Number(dot.getAttribute("cx")));
    const cursor = chart.querySelector(".cursor");
    const readout = chart.closest("figure").querySelector(".readout");
    const hint = readout.textContent;
    let at = -1;

    const go = (next) => {
      if (at >= 0) dots[at].classList.remove("at");
      at = next;
      cursor.classList.toggle("on", at >= 0);
      if (at < 0) { readout.textContent = hint; return; }
      dots[at].classList.add("at");
      cursor.setAttribute("x1", places[at]);
      cursor.setAttribute("x2", places[at]);
      readout.textContent = `${at + 1} of ${dots.length}: ${dots[at].querySelector("title").textContent}`;
    };
    const nearest = (x) => places.reduce((best, place, i) => (Math.abs(place - x) < Math.abs(places[best] - x) ? i : best), 0);

    chart.addEventListener("pointermove", (event) => {
      const box = chart.getBoundingClientRect();
      go(nearest(((event.clientX - box.left) / box.width) * chart.viewBox.baseVal.width));
    });
    chart.addEventListener("pointerleave", () => { if (document.activeElement !== chart) go(-1); });
    chart.addEventListener("focus", () => { if (at < 0) go(dots.length - 1); });
    chart.addEventListener("blur", () => go(-1));
    chart.addEventListener("keydown", (event) => {
      const next = {
        ArrowLeft: Math.max(0, at - 1), ArrowRight: Math.min(dots.length - 1, at + 1), Home: 0, End: dots.length - 1,
      }[event.key];
      if (next === undefined) return;
      event.preventDefault();
      go(next);
    });
  }
})();
