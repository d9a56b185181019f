// How one gets in oneself: sessions and tokens, the password, the second factor.

async function accessView() {
  const account = await ask("GET", "/v1/account");
  return [await tokensCard(), makeTokenCard(), passwordCard(), factorCard(account)];
}

async function tokensCard() {
  const list = make("ul", { class: "list", id: "tokens" });
  const fill = async () => {
    const tokens = await ask("GET", "/v1/tokens");
    list.replaceChildren(...tokens.map((one) => tokenLine(one, fill)));
  };
  await fill();
  list.addEventListener("refill", () => fill().catch((error) => say(error.message, true)));
  return card("Sessions and tokens", list);
}

function tokenLine(one, fill) {
  const revoke = button("Revoke", async () => {
    await ask("DELETE", `/v1/tokens/${encodeURIComponent(one.token_id)}`);
    say(`“${one.label}” opens nothing any more.`);
    await fill();
  }, "danger");
  revoke.setAttribute("aria-label", `Revoke ${one.label}`);
  return make("li", {}, make("div", {},
    make("p", {}, make("strong", {}, shorten(one.label))),
    make("p", { class: "hint" }, `${words(one.access)}, until ${when(one.expires_at)}`)), revoke);
}

function makeTokenCard() {
  const label = make("input", { type: "text", required: true, maxlength: 64, autocomplete: "off" });
  const access = make("select", {}, ...LEVELS.filter((level) => session.has(level)).map((level) => make("option", { value: level }, words(level))));
  const days = make("input", { type: "number", min: 1, max: 366, step: 1, value: 90, required: true, inputmode: "numeric" });
  const shown = make("div", { "aria-live": "polite" });
  return card("Make a token", hint("For a program or another appliance. Give it as little as it needs."),
    form([
      field("What it is for", label), field("It may", access, "viewer: read; member: use; owner: everything"),
      field("For", days, "from 1 to 366", "days"),
    ], "Make", async () => {
      const made = await ask("POST", "/v1/tokens", {
        label: label.value, access: access.value, lifetime_seconds: Math.round(Number(days.value) * 86400),
      });
      shown.replaceChildren(
        hint(`The token of “${made.label}”. It is shown this once; keep it secret.`),
        make("p", { class: "secret", id: "made-token" }, made.token));
      label.value = "";
      document.getElementById("tokens").dispatchEvent(new Event("refill"));
    }), shown);
}

function passwordCard() {
  const old = password("Password now", "current-password");
  const fresh = password("New password", "new-password", "At least 15 characters.");
  const second = secondFactor();
  return card("Change the password", hint("Every other session and token of yours ends."),
    form([old.box, fresh.box, second.box], "Change", async () => {
      await proving(second, (more) => ask("PUT", "/v1/password", { old: old.control.value, new: fresh.control.value, ...more }));
      old.control.value = fresh.control.value = "";
      say("The password is changed.");
      document.getElementById("tokens").dispatchEvent(new Event("refill"));
    }));
}
