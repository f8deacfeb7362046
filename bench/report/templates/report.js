"use strict";
// Sorting, filters, language, theme, evidence on demand. What is shown comes from the page and its data block as text:
// nothing here writes markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);
  const say = (key, args = {}) => {
    const text = data.words[root.dataset.language][key];
    return text === undefined ? key : text.replace(/\{(\w+)\}/g, (_, name) => args[name] ?? "");
  };
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const words = (key, args, tag = "span") => {
    const element = make(tag, { "data-i18n": key }, say(key, args));
    if (args) element.dataset.args = JSON.stringify(args);
    return element;
  };
  const SVG = "http://www.w3.org/2000/svg";
  const draw = (tag, attributes) => {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  const keep = (name, value) => { try { localStorage.setItem(name, value); } catch { /* a file may have no storage */ } };
  const kept = (name) => { try { return localStorage.getItem(name); } catch { return null; } };

  // Language and theme.
  const translate = (language) => {
    root.dataset.language = language;
    root.lang = language === "zh" ? "zh-Hans" : language;
    for (const one of document.querySelectorAll("[data-i18n]")) one.textContent = say(one.dataset.i18n, JSON.parse(one.dataset.args || "{}"));
    for (const one of document.querySelectorAll("[data-i18n-label]")) one.setAttribute("aria-label", say(one.dataset.i18nLabel));
    for (const one of document.querySelectorAll(`[data-label-${language}]`)) one.setAttribute("aria-label", one.getAttribute(`data-label-${language}`));
    document.title = document.querySelector("h1").textContent;
  };
  const language = byId("language");
  language.addEventListener("change", () => { translate(language.value); keep("suanli-language", language.value); });
  const theme = byId("theme");
  const paint = (value) => { if (value === "auto") delete root.dataset.theme; else root.dataset.theme = value; };
  theme.addEventListener("change", () => { paint(theme.value); keep("suanli-theme", theme.value); });
  byId("controls").hidden = false;
  const before = kept("suanli-theme");
  if (["light", "dark"].includes(before)) { theme.value = before; paint(before); }
  const spoken = kept("suanli-language");
  if (spoken && spoken in data.words && spoken !== root.dataset.language) { language.value = spoken; translate(spoken); }

  // A table with filters and sortable columns over items {element(), values, fits(field, value), text}.
  const PAGE = 100;
  const table = (section, items) => {
    const body = section.querySelector("tbody");
    const filters = [...section.querySelectorAll("select[data-field]")];
    const search = section.querySelector("input[type=search]");
    const count = section.querySelector(".count");
    const more = section.querySelector(".more");
    let limit = PAGE, order = items, shown = items;
    const fill = () => {
      body.replaceChildren(...shown.slice(0, limit).flatMap((item) => item.elements()));
      count.dataset.args = JSON.stringify({ shown: shown.length, all: items.length });
      count.textContent = say("filter.shown", { shown: shown.length, all: items.length });
      more.hidden = shown.length <= limit;
      more.dataset.args = JSON.stringify({ n: Math.min(PAGE, shown.length - limit) });
      more.textContent = say("filter.more", JSON.parse(more.dataset.args));
    };
    const filter = () => {
      const asked = filters.filter((one) => one.value !== "").map((one) => [one.dataset.field, one.value]);
      const wanted = search ? search.value.toLowerCase().split(/\s+/).filter(Boolean) : [];
      shown = order.filter((item) => asked.every(([field, value]) => item.fits(field, value)) && wanted.every((word) => item.text.includes(word)));
      limit = PAGE;
      fill();
    };
    const reset = () => { for (const one of filters) one.value = one.querySelector("option[data-default]")?.value ?? ""; if (search) search.value = ""; filter(); };
    const compare = (column, sign) => (a, b) => {
      const [x, y] = [a.values[column], b.values[column]];
      if (x === null || y === null) return (x === null) - (y === null); // what is unknown stands last either way
      return sign * (typeof x === "number" ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true }));
    };
    const headers = [...section.querySelectorAll("thead th")];
    headers.forEach((header, column) => header.querySelector("button")?.addEventListener("click", () => {
      const first = header.classList.contains("num") ? "descending" : "ascending";
      const next = header.getAttribute("aria-sort") === first ? (first === "ascending" ? "descending" : "ascending") : first;
      headers.forEach((one) => one.removeAttribute("aria-sort"));
      header.setAttribute("aria-sort", next);
      order = [...items].sort(compare(column, next === "ascending" ? 1 : -1));
      filter();
    }));
    for (const one of filters) one.addEventListener("change", filter);
    search?.addEventListener("input", filter);
    section.querySelector(".reset").addEventListener("click", reset);
    more.addEventListener("click", () => {
      const from = limit;
      limit += PAGE;
      fill();
      shown[from]?.elements()[0].querySelector("button, a")?.focus();
    });
    for (const one of section.querySelectorAll(".filters")) one.hidden = false;
    filter();
    return {
      show(item) {
        reset();
        limit = Math.max(limit, PAGE * Math.ceil((shown.indexOf(item) + 1) / PAGE));
        fill();
      },
      fill,
    };
  };

  // The headline: rows that the page holds already.
  const best = [...document.querySelectorAll("#results tbody tr")].map((row) => ({
    elements: () => [row],
    values: [...row.children].map((cell) => ("value" in cell.dataset ? (cell.dataset.value === "" ? null : Number(cell.dataset.value)) : cell.textContent.trim())),
    fits: (field, value) => (field === "kernel" && value === " best" ? row.dataset.best === "1" : row.dataset[field] === value),
    text: "",
  }));
  if (byId("results")) table(byId("results"), best);

  // All rows, made when they are looked at.
  const link = (text) => {
    const parts = [];
    let at = 0;
    for (const found of text.matchAll(/\b(?:https?:\/\/)?(?:[\w-]+\.)+(?:com|org|net|io|cn|eu)\/[\w./@%~+#?&=-]*[\w/]/g)) {
      const address = found[0].startsWith("http") ? found[0] : `https://${found[0]}`;
      const href = address.replace(/^(https:\/\/github\.com\/[\w.-]+\/[\w.-]+)@([0-9a-f]{7,40})$/, "$1/tree/$2");
      parts.push(text.slice(at, found.index), make("a", { href, rel: "noreferrer" }, found[0]));
      at = found.index + found[0].length;
    }
    return [...parts, text.slice(at)];
  };
  const strip = (row) => {
    const [width, height, room] = [420, 92, 12];
    const q = row.q.split(" ").map(Number);
    const [low, high] = [q[0], q[q.length - 1]];
    const x = (value) => room + ((width - 2 * room) * (high > low ? (value - low) / (high - low) : 0.5));
    const y = (share) => 62 - 54 * share;
    const label = { n: q.length, all: row.n, low, high, unit: row.qu };
    const chart = draw("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": say("evidence.samples.alt", label) });
    chart.append(draw("line", { class: "grid", x1: room, x2: width - room, y1: 62, y2: 62 }));
    const steps = q.map((value, i) => `${x(value).toFixed(1)},${y((i + 1) / q.length).toFixed(1)}`);
    chart.append(draw("polyline", { class: "measured-line", points: steps.join(" ") }));
    for (const value of q) chart.append(draw("line", { class: "tick s0", x1: x(value), x2: x(value), y1: 65, y2: 73 }));
    for (const [value, anchor] of [[low, "start"], [high, "end"]]) {
      const text = draw("text", { x: x(value), y: 88, "text-anchor": high > low ? anchor : "middle", class: "soft" });
      text.textContent = `${value} ${row.qu}`;
      chart.append(text);
      if (high === low) break;
    }
    return chart;
  };
  const evidence = (row) => {
    const facts = make("dl");
    for (const [key, value] of row.F) {
      const text = typeof value === "number" ? data.texts[value] : value;
      facts.append(words(key, null, "dt"), make("dd", {}, make("bdi", {}, ...link(text))));
    }
    const file = data.files[row.d];
    if (file) facts.append(words("fact.file", null, "dt"), make("dd", {}, make("a", { href: file, download: "" }, make("bdi", {}, file.slice(file.lastIndexOf("/") + 1)))));
    const side = make("div", {}, words("evidence.samples", null, "h4"));
    side.append(row.q.length ? strip(row) : words("evidence.none", null, "p"));
    if (row.L.length) {
      const losses = make("ul", { class: "why" });
      for (const [factor, share, why] of row.L) losses.append(make("li", {}, words(`factor.${factor}`), make("span", { class: "num" }, share), make("bdi", {}, data.texts[why])));
      side.append(words("evidence.losses", null, "h4"), losses);
    }
    const cell = make("td", { colspan: 7 }, make("div", { class: "two" }, make("div", {}, words("evidence.facts", null, "h4"), facts), side));
    return make("tr", { class: "evidence", id: `${row.k}-evidence` }, cell);
  };
  const status = (name) => make("span", { class: `status ${name === "ok" ? "ok" : name === "noisy" ? "" : "bad"}` }, make("i", { "aria-hidden": "true" }, { ok: "●", noisy: "◐" }[name] ?? "✕"), words(`status.${name}`));
  const label = (name) => (name === "bandwidth" ? words("bandwidth") : make("bdi", {}, name));
  const figure = (text) => (text ? make("bdi", {}, text) : words("na"));
  const items = data.rows.map((row) => {
    let made = null, opened = null;
    const item = {
      key: row.k,
      values: [data.devices[row.d], row.p, `${row.K} ${row.c}`, row.v, row.R, row.u, row.s],
      fits: (field, value) => ({ device: String(row.d), label: row.p, kernel: row.K, status: row.s }[field] === value),
      text: `${data.devices[row.d]} ${row.p} ${row.K} ${row.c} ${row.i} ${row.s} ${row.e}`.toLowerCase(),
      elements: () => {
        if (!made) {
          const button = make("button", { class: "case", type: "button", "aria-expanded": "false", id: row.k }, make("bdi", {}, `${row.K} ${row.c}`));
          button.addEventListener("click", () => item.toggle(!opened));
          made = make("tr", {},
            make("td", {}, make("bdi", {}, data.devices[row.d])), make("td", {}, label(row.p)), make("td", { class: "wide" }, button),
            make("td", { class: "num strong" }, figure(row.f)), make("td", { class: "num" }, figure(row.r)), make("td", { class: "num" }, figure(row.U)), make("td", {}, status(row.s)));
        }
        return opened ? [made, opened] : [made];
      },
      toggle: (open) => {
        item.elements();
        made.querySelector("button").setAttribute("aria-expanded", String(open));
        if (!open) { opened?.remove(); opened = null; return; }
        if (!opened) opened = evidence(row);
        if (made.isConnected) made.after(opened);
      },
    };
    return item;
  });
  const all = byId("rows") && table(byId("rows"), items); // a fleet's own page has neither
  const go = () => {
    const key = location.hash.slice(1);
    const item = items.find((one) => one.key === key);
    if (!item) {
      const place = key ? byId(key) : null;
      const closed = place?.closest("details:not([open])");
      if (closed) closed.open = true;
      if (place?.matches("figure")) { place.focus(); place.scrollIntoView({ block: "start" }); }
      return;
    }
    item.toggle(true);
    if (!byId(key)) all.show(item);
    byId(key).focus();
    byId(key).scrollIntoView({ block: "start" });
  };
  addEventListener("hashchange", go);
  // The same mark twice is no change of the address, and leads to its row all the same.
  document.addEventListener("click", (event) => {
    const anchor = event.target.closest?.("a");
    if (anchor?.getAttribute("href") === location.hash && location.hash) { event.preventDefault(); go(); }
  });
  go();

  // Marks of a chart: one stop of the Tab key, arrows go on from there.
  for (const chart of document.querySelectorAll("svg.chart[role=group]")) {
    const marks = [...chart.querySelectorAll("a.mark")];
    const readout = chart.closest("figure")?.querySelector(".readout");
    const hint = readout?.querySelector("span");
    const tell = (mark) => { if (readout) readout.replaceChildren(mark ? mark.getAttribute("aria-label") : hint); };
    marks.forEach((mark, i) => {
      mark.setAttribute("tabindex", i ? "-1" : "0");
      mark.addEventListener("focus", () => tell(mark));
      mark.addEventListener("blur", () => tell(null));
      mark.addEventListener("pointerenter", () => tell(mark));
      mark.addEventListener("pointerleave", () => tell(null));
    });
    chart.addEventListener("keydown", (event) => {
      const at = marks.indexOf(document.activeElement);
      const next = { ArrowLeft: at - 1, ArrowUp: at - 1, ArrowRight: at + 1, ArrowDown: at + 1, Home: 0, End: marks.length - 1 }[event.key];
      if (at < 0 || next === undefined) return;
      event.preventDefault();
      const mark = marks[Math.min(Math.max(next, 0), marks.length - 1)];
      marks.forEach((one) => one.setAttribute("tabindex", one === mark ? "0" : "-1"));
      mark.focus();
    });
  }
  addEventListener("beforeprint", () => { for (const one of document.querySelectorAll("details")) one.open = true; });
})();
