// Shows a function's answer: numbers large, objects as pairs, lists as tables or a curve.

const ROWS = 50;
const COLUMNS = 8;
const DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d/;

function showValue(value, unit = "", depth = 0) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "number") return number(value) + (unit ? ` ${unit}` : "");
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "string") return DATE.test(value) ? when(value) : shorten(value);
  if (depth >= 4) return shorten(JSON.stringify(value));
  if (Array.isArray(value)) return showList(value, depth);
  return facts(Object.entries(value).slice(0, ROWS).map(([name, one]) => [words(name), showValue(one, "", depth + 1)]));
}

function number(value) {
  return value.toLocaleString(undefined, { maximumFractionDigits: 2 });
}

function showList(list, depth) {
  if (!list.length) return "none";
  const last = list.slice(-ROWS);
  if (!last.every((one) => one !== null && typeof one === "object" && !Array.isArray(one))) {
    return last.every((one) => one === null || typeof one !== "object")
      ? last.map((one) => showValue(one)).join(", ") : shorten(JSON.stringify(last));
  }
  const columns = [...new Set(last.flatMap((one) => Object.keys(one)))].slice(0, COLUMNS);
  const table = make("table", {}, make("thead", {}, make("tr", {}, ...columns.map((name) => make("th", { scope: "col" }, words(name))))),
    make("tbody", {}, ...last.map((one) => make("tr", {}, ...columns.map((name) => make("td", {}, showValue(one[name], "", depth + 1)))))));
  return make("div", { class: "table", tabindex: 0 }, table);
}

// A single number stands large, everything else as it is.
function showReading(value, unit) {
  if (typeof value !== "number") return make("div", {}, showValue(value, unit));
  return make("p", { class: "big" }, number(value), unit ? make("small", {}, unit) : null);
}
