// Makes elements. Text is only ever set as text: no part of this page turns a string into markup.

const TEXT_LIMIT = 4000; // characters of one string shown

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (value === true) {
      element.setAttribute(name, "");
    } else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, String(value));
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function shorten(text) {
  return text.length > TEXT_LIMIT ? text.slice(0, TEXT_LIMIT) + "…" : text;
}

function card(title, ...children) {
  return make("section", { class: "card" }, make("h2", {}, title), ...children);
}

function hint(text, className = "hint") {
  return make("p", { class: className }, shorten(text));
}

let fieldCount = 0;

// A labelled control; `note` says range or use, and is read out with it.
function field(label, control, note = "", unit = "") {
  fieldCount += 1;
  control.id = `field-${fieldCount}`;
  const box = make("div", { class: "field" }, make("label", { for: control.id }, label));
  box.append(unit ? make("div", { class: "unit" }, control, make("span", {}, unit)) : control);
  if (note) {
    const words = hint(note);
    words.id = `${control.id}-note`;
    control.setAttribute("aria-describedby", words.id);
    box.append(words);
  }
  return box;
}

function tick(label, checked = false, properties = {}) {
  const control = make("input", { type: "checkbox", ...properties });
  control.checked = checked;
  return { control, line: make("label", { class: "line" }, control, label) };
}

function facts(pairs) {
  const list = make("dl");
  for (const [name, value] of pairs) {
    if (value === "" || value === null || value === undefined) continue;
    list.append(make("dt", {}, name), make("dd", {}, value instanceof Node ? value : shorten(String(value))));
  }
  return list;
}

// A form that runs `work` once at a time; what it refuses is said in the page's notice.
function form(children, label, work, className = "") {
  const button = make("button", { type: "submit", class: className }, label);
  const element = make("form", {}, ...children, button);
  element.addEventListener("submit", async (event) => {
    event.preventDefault();
    await once(button, work);
  });
  return element;
}

function button(label, work, className = "quiet") {
  const element = make("button", { type: "button", class: className }, label);
  element.addEventListener("click", () => once(element, work));
  return element;
}

async function once(control, work) {
  if (control.disabled) return;
  control.disabled = true;
  say("");
  try {
    await work();
  } catch (error) {
    say(error instanceof Refused ? error.message : "That did not work: " + error.message, true);
  } finally {
    control.disabled = false;
  }
}

function say(text, bad = false) {
  const notice = document.getElementById("notice");
  notice.classList.toggle("bad", bad);
  notice.textContent = shorten(text.charAt(0).toUpperCase() + text.slice(1));
  if (text) notice.scrollIntoView({ block: "nearest" });
}

function when(text) {
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? String(text) : at.toLocaleString();
}

function day(text) {
  return String(text).slice(0, 10);
}
