// Before there is a session: the claim of a new device, and the login.

function password(label, use, note = "") {
  const control = make("input", { type: "password", autocomplete: use, required: true, maxlength: 256 });
  const shown = tick("Show");
  shown.control.addEventListener("change", () => { control.type = shown.control.checked ? "text" : "password"; });
  const box = field(label, control, note);
  box.append(shown.line);
  return { control, box };
}

function nameControl() {
  return make("input", {
    type: "text", autocomplete: "username", autocapitalize: "none", spellcheck: "false",
    required: true, maxlength: 64,
  });
}

function claimView() {
  const code = make("input", {
    type: "text", autocomplete: "off", autocapitalize: "characters", spellcheck: "false",
    required: true, maxlength: 256,
  });
  const name = nameControl();
  const secret = password("Password", "new-password", "At least 15 characters. A few words that only you would put together are good.");
  return card("Make this device yours",
    hint("It is new, and does nothing until somebody has claimed it with the code on its label."),
    form([
      field("Code on the label", code), field("Your name on this device", name), secret.box,
    ], "Claim", async () => {
      const body = { code: code.value.trim(), name: name.value.trim(), password: secret.control.value };
      session.open(await ask("POST", "/v1/claim", body));
      await begin();
      say("This device is yours. The code on its label opens nothing any more.");
    }));
}

function loginView() {
  const name = nameControl();
  const secret = password("Password", "current-password");
  return card("Log in", form([field("Name", name), secret.box], "Log in", async () => {
    session.open(await ask("POST", "/v1/login", { name: name.value.trim(), password: secret.control.value }));
    await begin();
  }));
}
