"use strict";
// Sorting and filtering. Without scripts the page is complete: what stands here only changes the order, and hides what was not asked for.

// The first number in a cell, or its text.
function valueOf(cell) {
  const text = (cell ? cell.textContent : "").trim();
  const found = text.replaceAll(",", "").replaceAll("\u2212", "-").match(/^[-+]?\d+(\.\d+)?(e[-+]?\d+)?/i);
  return { number: found ? parseFloat(found[0]) : NaN, text };
}

// Numbers before texts, dashes last; equal rows keep their order.
function compare(a, b, sign) {
  const missing = (Number.isNaN(a.number) ? 1 : 0) - (Number.isNaN(b.number) ? 1 : 0);
  if (missing) return missing;
  return sign * (Number.isNaN(a.number) ? a.text.localeCompare(b.text) : a.number - b.number);
}

function sortBy(table, column, sign) {
  const rows = [...table.tBodies[0].rows].map((row) => ({ row, value: valueOf(row.cells[column]) }));
  rows.sort((a, b) => compare(a.value, b.value, sign));
  table.tBodies[0].append(...rows.map((entry) => entry.row));
  [...table.tHead.rows[0].cells].forEach((head, k) => {
    if (k === column) head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    else head.removeAttribute("aria-sort");
  });
}

function makeSortable(table) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sortBy(table, column, head.getAttribute("aria-sort") === "descending" ? 1 : -1));
  });
}

// A row of tools above a gallery: words to look for, one list for each kind of chip, and the order.
function makeFilter(tools) {
  const gallery = tools.parentElement;
  const cards = [...gallery.querySelectorAll(".card")];
  const shown = tools.querySelector("output");
  const wanted = () => [...tools.querySelectorAll("select[data-key]")].filter((list) => list.value);
  function apply() {
    const words = tools.querySelector("input").value.toLowerCase().split(/\s+/).filter(Boolean);
    const lists = wanted();
    let count = 0;
    for (const card of cards) {
      const text = card.textContent.toLowerCase();
      card.hidden = !(words.every((word) => text.includes(word)) && lists.every((list) => card.dataset[list.dataset.key] === list.value));
      count += card.hidden ? 0 : 1;
    }
    shown.textContent = `${count} of ${cards.length} shown`;
  }
  function order() {
    const [key, sign] = tools.querySelector("select[data-order]").value.split(" ");
    const sorted = [...cards].sort((a, b) => Number(sign) * (Number(a.dataset[key]) - Number(b.dataset[key])));
    gallery.querySelector(".cards").append(...sorted);
  }
  tools.addEventListener("input", apply);
  tools.querySelector("select[data-order]").addEventListener("change", order);
  tools.addEventListener("submit", (event) => event.preventDefault());
  tools.hidden = false;
  apply();
}

document.querySelectorAll("table.sortable").forEach(makeSortable);
document.querySelectorAll("form.tools").forEach(makeFilter);
