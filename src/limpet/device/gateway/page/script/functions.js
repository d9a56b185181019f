// The product's own functions, rendered from its declarations.

async function functionsView() {
  const functions = (await ask("GET", "/v1/functions")).filter((one) => session.has(one.access));
  const cards = functions.sort((a, b) => rank(a) - rank(b))
    .map((one) => (one.kind === "reading" ? readingCard : actionCard)(one));
  return cards.length ? cards : [card("Nothing here", hint("This product offers you no function."))];
}

// Measurements first, then what is to be done, then what there is to read.
function rank(one) {
  if (one.kind === "action") return 1;
  return one.unit && !isAsked(one) ? 0 : 2;
}

function isAsked(one) {
  return Object.keys(one.arguments.properties || {}).length > 0;
}

function readingCard(one) {
  if (isAsked(one)) return askedCard(one);
  const place = make("div", { "data-reading": one.name }, hint("…"));
  listen("reading", one.name, (value) => {
    place.replaceChildren("value" in value
      ? showReading(value.value, one.unit) : hint(value.detail || value.reason, "bad"));
  });
  return card(words(one.name), hint(one.summary), place);
}

function askedCard(one) {
  const inputs = inputsFor(one.arguments, 0);
  const place = make("div", { "aria-live": "polite" });
  return card(words(one.name), hint(one.summary), form(inputs.elements, "Show", async () => {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(inputs.read())) {
      query.set(name, typeof value === "object" ? JSON.stringify(value) : String(value));
    }
    const value = await ask("GET", `/v1/functions/${encodeURIComponent(one.name)}?${query}`);
    place.replaceChildren(showReading(value, one.unit));
  }, "quiet"), place);
}

function actionCard(one) {
  const inputs = inputsFor(one.arguments, 0, one.unit);
  return card(words(one.name), hint(one.summary), form(inputs.elements, words(one.name), async () => {
    await ask("POST", `/v1/functions/${encodeURIComponent(one.name)}`, inputs.read());
    say(`${words(one.name)}: done.`);
  }));
}
