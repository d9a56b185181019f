// The second factor of one's own account: one-time codes from an authenticator app.

function factorCard(account) {
  const box = card("Second factor");
  box.id = "factor";
  const refill = async () => {
    const now = await ask("GET", "/v1/account");
    box.replaceWith(factorCard(now));
  };
  if (account.second_factor) {
    box.append(hint(`On. A new browser needs a code of your app; ${account.recovery_codes} recovery codes are left.`), ...endFactor(refill));
  } else {
    box.append(hint("Off. With one-time codes a password that somebody has read is not enough to get in."), ...beginFactor(box, refill));
  }
  return box;
}

function beginFactor(box, refill) {
  const secret = password("Your password", "current-password");
  return [form([secret.box], "Set up", async () => {
    const made = await ask("POST", "/v1/second-factor", { password: secret.control.value });
    secret.control.value = "";
    const code = make("input", { type: "text", inputmode: "numeric", autocomplete: "one-time-code", required: true, maxlength: 16 });
    box.replaceChildren(make("h2", {}, "Second factor"),
      hint("Add this secret to your authenticator app: on a phone by the link, elsewhere by typing it. It is shown this once."),
      make("p", { class: "secret", id: "factor-secret" }, made.secret),
      make("p", {}, make("a", { href: made.uri, id: "factor-link" }, "Open in an authenticator app")),
      form([field("The code that the app shows now", code)], "Switch on", async () => {
        const kept = await ask("POST", "/v1/second-factor/confirm", { code: code.value.trim() });
        showRecovery(box, kept.recovery_codes, refill);
      }), button("Not now", refill));
  })];
}

function showRecovery(box, codes, refill) {
  box.replaceChildren(make("h2", {}, "Second factor"),
    hint("It is on. If you lose the phone, each of these codes lets you in once. Keep them where nobody else looks: they are shown this once."),
    make("ol", { class: "codes", id: "recovery" }, ...codes.map((one) => make("li", {}, one))),
    button("I have kept them", refill));
}

function endFactor(refill) {
  const secret = password("Your password", "current-password");
  const second = secondFactor();
  second.box.hidden = false;
  return [make("details", {}, make("summary", {}, "Do without"), form([secret.box, second.box], "Switch off", async () => {
    await proving(second, (more) => ask("POST", "/v1/second-factor/disable", { password: secret.control.value, ...more }));
    say("No one-time codes are asked for any more.");
    await refill();
  }, "danger"))];
}
