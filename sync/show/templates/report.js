"use strict";
// The list of changes: filters, and shows a slice of what matches. Every value is set as text, never as markup.
(() => {
  const ROWS_A_PAGE = 100;
  const PRINTED_ROWS = 1000;
  const LONGEST_VALUE = 240;
  const PROPOSALS_OFFERED = 2000;
  const DELAY_MS = 120;
  const [KIND, ENTITY, ID, KEY, PROPOSAL, FIELDS, NOTE] = [0, 1, 2, 3, 4, 5, 6];
  const UNSEEN = /[\p{C}\p{Zl}\p{Zp}]/gu;
  const NAMES = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

  const data = JSON.parse(document.getElementById("data").textContent);
  if (!data.rows.length) return;
  const byId = (id) => document.getElementById(id);
  const [form, search, proposal, entity, kinds] = ["filter", "search", "proposal", "entity", "kinds"].map(byId);
  const number = new Intl.NumberFormat("en");
  const texts = new Array(data.rows.length);  // what a search looks through, made when first needed
  let matching = data.rows;
  let page = 0;
  let waiting;  // for a pause in typing

  function element(name, className, ...children) {
    const made = document.createElement(name);
    if (className) made.className = className;
    made.append(...children);
    return made;
  }

  /** Text whose unseen letters show: controls, directions, what joins or breaks lines. */
  const visible = (text) =>
    text.replace(UNSEEN, (letter) => NAMES[letter] ?? `\\u{${letter.codePointAt(0).toString(16)}}`);

  function valueElement(name, value) {
    if (value === null) return element("span", "null", "null");
    if (value === "") return element("span", "null", "empty text");
    const text = String(value);
    const made = element(name, "value", visible(text.slice(0, LONGEST_VALUE)));
    if (text.length > LONGEST_VALUE) {
      const rest = element("button", "link", `… ${number.format(text.length - LONGEST_VALUE)} more letters`);
      rest.type = "button";
      rest.addEventListener("click", () => made.replaceChildren(visible(text)));
      made.append(rest);
    }
    return made;
  }

  function fieldElement(kind, [name, before, after]) {
    const value = element("dd");
    if (kind === "insert") value.append(valueElement("ins", after));
    else if (kind === "delete") value.append(valueElement("del", before));
    else {
      const words = element("span", "unseen", " becomes ");
      const arrow = element("span", "arrow", " → ");
      arrow.setAttribute("aria-hidden", "true");
      value.append(valueElement("del", before), words, arrow, valueElement("ins", after));
    }
    return element("div", "", element("dt", "", name), value);
  }

  function rowElement(row) {
    const values = element("td", "values");
    if (row[NOTE]) values.append(visible(row[NOTE]));
    if (row[FIELDS].length) values.append(element("dl", "", ...row[FIELDS].map((field) => fieldElement(row[KIND], field))));
    const line = element(
      "tr", "",
      element("td", "kind", element("span", `badge ${row[KIND]}`, row[KIND])),
      element("td", "entity", row[ENTITY]),
      element("td", "id", row[ID] === null ? "" : String(row[ID])),
      element("td", "key", visible(row[KEY] ?? "")),
      element("td", "proposal", visible(row[PROPOSAL] ?? "")),
      values,
    );
    line.setAttribute("role", "row");  // a phone lays the table out as blocks, and it stays a table
    for (const cell of line.children) cell.setAttribute("role", "cell");
    return line;
  }

  const table = element("table", "");
  table.setAttribute("role", "table");
  table.setAttribute("aria-labelledby", "changes-title");
  const heading = element("tr", "", ...["kind", "entity", "id", "key", "proposal", "values"].map((name) => {
    const cell = element("th", "", name);
    cell.scope = "col";
    cell.setAttribute("role", "columnheader");
    return cell;
  }));
  heading.setAttribute("role", "row");
  const body = element("tbody", "");
  body.setAttribute("role", "rowgroup");
  table.append(element("thead", "", heading), body);
  byId("list").append(table);

  function show(first, count) {
    const rows = matching.slice(first, first + count);
    body.replaceChildren(...rows.map(rowElement));
    table.hidden = !rows.length;
    const all = data.rows.length;
    const found = matching.length === all ? `${number.format(all)} rows` : `${number.format(matching.length)} of ${number.format(all)} rows match`;
    const shown = rows.length && rows.length < matching.length ? `; ${number.format(first + 1)} to ${number.format(first + rows.length)} are shown` : "";
    byId("matches").textContent = found + shown;
  }

  function turn(to) {
    const last = Math.max(0, Math.ceil(matching.length / ROWS_A_PAGE) - 1);
    page = Math.min(Math.max(0, to), last);
    show(page * ROWS_A_PAGE, ROWS_A_PAGE);
    byId("pages").hidden = last === 0;
    byId("page").textContent = `Page ${number.format(page + 1)} of ${number.format(last + 1)}`;
    for (const button of byId("pages").querySelectorAll("button")) {
      const there = ["first", "previous"].includes(button.dataset.to) ? page === 0 : page === last;
      button.setAttribute("aria-disabled", there);  // it keeps the focus, unlike one that is disabled
    }
  }

  const textOf = (place) => (texts[place] ??= JSON.stringify(data.rows[place]).toLowerCase());

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean).map((word) => JSON.stringify(word).slice(1, -1));
    const wanted = proposal.value.trim().toLowerCase();
    const whole = data.rows.some((row) => row[PROPOSAL]?.toLowerCase() === wanted);
    const chosen = new Set(Array.from(kinds.querySelectorAll("input:checked"), (box) => box.value));
    matching = data.rows.filter((row, place) => {
      if (!chosen.has(row[KIND]) || (entity.value && row[ENTITY] !== entity.value)) return false;
      if (wanted) {
        const label = (row[PROPOSAL] ?? "").toLowerCase();
        if (whole ? label !== wanted : !label.includes(wanted)) return false;
      }
      return words.every((word) => textOf(place).includes(word));
    });
    turn(0);
  }

  function counted(column) {
    const counts = new Map();
    for (const row of data.rows) counts.set(row[column], (counts.get(row[column]) ?? 0) + 1);
    return counts;
  }

  function addChoices() {
    const entities = counted(ENTITY);
    for (const name of data.entities.filter((name) => entities.has(name))) {
      entity.append(new Option(`${name} (${number.format(entities.get(name))})`, name));
    }
    const found = counted(KIND);
    for (const name of data.kinds.filter((name) => found.has(name))) {
      const box = element("input", "");
      Object.assign(box, { type: "checkbox", value: name, checked: true });
      kinds.append(element("label", "", box, `${name} (${number.format(found.get(name))})`));
    }
    const labels = [...counted(PROPOSAL).keys()].filter(Boolean).slice(0, PROPOSALS_OFFERED);
    byId("proposals").append(...labels.map((label) => new Option("", label)));
  }

  /** Sets all filters at once; without an argument, to what lets every row through. */
  function choose({ words = "", name = "", chosen = data.kinds } = {}) {
    clearTimeout(waiting);
    [search.value, proposal.value, entity.value] = [words, "", name];
    for (const box of kinds.querySelectorAll("input")) box.checked = chosen.includes(box.value);
    filter();
  }

  /** A number above the list becomes a button that shows its rows in the list. */
  function linkNumbers() {
    for (const place of document.querySelectorAll("[data-show]")) {
      const { entity: name, kinds: only, search: word } = place.dataset;
      const button = element("button", "link", place.textContent);
      button.type = "button";
      if (!word) button.setAttribute("aria-label", `${place.textContent} of ${name}: ${only}; show them`);
      button.addEventListener("click", () => {
        choose({ words: word, name, chosen: only.split(" ") });
        byId("changes").scrollIntoView();
        byId("changes").focus();
      });
      place.replaceChildren(button);
    }
  }

  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, DELAY_MS);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    filter();
  });
  byId("clear").addEventListener("click", () => choose());
  byId("pages").addEventListener("click", ({ target }) => {
    const last = Math.ceil(matching.length / ROWS_A_PAGE) - 1;
    const to = { first: 0, previous: page - 1, next: page + 1, last }[target.dataset.to];
    if (to === undefined || target.getAttribute("aria-disabled") === "true") return;
    turn(to);
    byId("matches").scrollIntoView();
  });
  addEventListener("beforeprint", () => show(0, PRINTED_ROWS));
  addEventListener("afterprint", () => turn(page));

  addChoices();
  linkNumbers();
  form.hidden = false;
  turn(0);
})();
