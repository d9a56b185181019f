// Inputs from a JSON Schema (2020-12), as the product declared it. What has no input of its own is
// written as JSON. The device checks everything again; this only helps to get it right.

const DEPTH = 6;

// { element, read() } for one value; read() gives undefined for "not given", and throws for a wrong one.
function inputFor(label, schema, required, unit = "", depth = 0) {
  const { one, nullable } = withoutNull(schema);
  const needed = required && !nullable;
  if (Array.isArray(one.enum)) return choice(label, one, needed);
  if (one.type === "boolean") return yesOrNo(label, one);
  if (one.type === "number" || one.type === "integer") return numeric(label, one, needed, unit);
  if (one.type === "string") return textual(label, one, needed);
  if (depth < DEPTH && one.type === "object" && one.properties) return group(label, one, depth);
  if (depth < DEPTH && one.type === "array" && one.items) {
    return Array.isArray(one.items.enum) ? several(label, one) : rows(label, one, depth);
  }
  return written(label, one, needed);
}

function withoutNull(schema) {
  if (!Array.isArray(schema.anyOf)) return { one: schema, nullable: false };
  const others = schema.anyOf.filter((option) => option.type !== "null");
  const one = others.length === 1 ? { ...schema, ...others[0], anyOf: undefined } : {};
  return { one, nullable: others.length < schema.anyOf.length };
}

function ranges(schema, unit) {
  const words = [];
  const low = schema.minimum ?? schema.exclusiveMinimum;
  const high = schema.maximum ?? schema.exclusiveMaximum;
  const tail = unit ? ` ${unit}` : "";
  if (low !== undefined) words.push(`${schema.minimum === undefined ? "more than" : "from"} ${low}${tail}`);
  if (high !== undefined) words.push(`${schema.maximum === undefined ? "less than" : "to"} ${high}${tail}`);
  if (schema.maxLength !== undefined) words.push(`at most ${schema.maxLength} characters`);
  return words.join(" ");
}

function noteOf(schema, needed, unit = "") {
  const described = schema.description && schema.description !== unit ? [String(schema.description)] : [];
  const range = ranges(schema, unit);
  return [...described, ...(range ? [range] : []), ...(needed || (schema.default ?? null) !== null ? [] : ["optional"])].join("; ");
}

function numeric(label, schema, needed, unit) {
  const shown = unit || (String(schema.description || "").length < 6 ? schema.description || "" : "");
  const control = make("input", {
    type: "number", step: schema.type === "integer" ? 1 : schema.multipleOf || "any",
    min: schema.minimum, max: schema.maximum, required: needed,
    inputmode: schema.type === "integer" ? "numeric" : "decimal",
  });
  if (typeof schema.default === "number") control.value = String(schema.default);
  return {
    element: field(label, control, noteOf(schema, needed, shown), shown),
    read: () => (control.value === "" ? undefined : Number(control.value)),
  };
}

function textual(label, schema, needed) {
  const control = make("input", {
    type: "text", maxlength: schema.maxLength, minlength: schema.minLength, required: needed,
    autocomplete: "off",
  });
  if (typeof schema.default === "string") control.value = schema.default;
  return {
    element: field(label, control, noteOf(schema, needed)),
    read: () => (control.value === "" && !needed ? undefined : control.value),
  };
}

function choice(label, schema, needed) {
  const control = make("select", { required: needed });
  if (!needed && (schema.default ?? null) === null) control.append(make("option", { value: "" }, "–"));
  schema.enum.forEach((value, index) => {
    control.append(make("option", { value: index, selected: value === schema.default }, words(String(value))));
  });
  return {
    element: field(label, control),
    read: () => (control.value === "" ? undefined : schema.enum[Number(control.value)]),
  };
}

function yesOrNo(label, schema) {
  const { control, line } = tick(label, schema.default === true);
  return { element: line, read: () => control.checked };
}

function several(label, schema) {
  const ticks = schema.items.enum.map((value) => ({ value, ...tick(words(String(value))) }));
  const box = make("div", { class: "days" }, ...ticks.map((one) => one.line));
  return {
    element: make("fieldset", {}, make("legend", {}, label), box),
    read: () => ticks.filter((one) => one.control.checked).map((one) => one.value),
  };
}

function group(label, schema, depth) {
  const members = inputsFor(schema, depth + 1);
  const legend = label ? [make("legend", {}, label)] : [];
  return { element: make("fieldset", {}, ...legend, ...members.elements), read: members.read };
}

function rows(label, schema, depth) {
  const list = make("div");
  const entries = new Set();
  const add = () => {
    if (schema.maxItems !== undefined && entries.size >= schema.maxItems) return;
    const input = inputFor("", schema.items, true, "", depth + 1);
    const row = make("div", { class: "field" }, input.element,
      button("Remove", () => { entries.delete(entry); row.remove(); }));
    const entry = { read: input.read };
    entries.add(entry);
    list.append(row);
  };
  return {
    element: make("fieldset", {}, make("legend", {}, label), list, button("Add one", add)),
    read: () => [...entries].map((entry) => entry.read()),
  };
}

function written(label, schema, needed) {
  const control = make("textarea", { required: needed, spellcheck: "false" });
  if (schema.default !== undefined) control.value = JSON.stringify(schema.default);
  return {
    element: field(label, control, "as JSON"),
    read: () => {
      if (control.value.trim() === "") return undefined;
      try {
        return JSON.parse(control.value);
      } catch {
        throw new Error(`${label} is not JSON`);
      }
    },
  };
}

// All properties of an object's schema: { elements, read() }.
function inputsFor(schema, depth = 0, unit = "") {
  const required = schema.required || [];
  const inputs = Object.entries(schema.properties || {}).map(([name, one]) =>
    [name, inputFor(words(name), one, required.includes(name), unit, depth)]);
  return {
    elements: inputs.map(([, input]) => input.element),
    read: () => {
      const found = Object.create(null);
      for (const [name, input] of inputs) {
        const value = input.read();
        if (value !== undefined) found[name] = value;
      }
      return found;
    },
  };
}

function words(name) {
  const plain = name.replaceAll("_", " ");
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}
