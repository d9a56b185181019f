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

function codeControl() {
  return make("input", {
    type: "text", autocomplete: "off", autocapitalize: "characters", spellcheck: "false",
    required: true, maxlength: 256,
  });
}

function claimView() {
  const code = codeControl();
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

// A one-time code; hidden until the device asks for one.
function secondFactor() {
  const control = make("input", {
    type: "text", inputmode: "text", autocomplete: "one-time-code", autocapitalize: "characters", spellcheck: "false", maxlength: 64,
  });
  const box = field("One-time code", control, "From your authenticator app, or one of your recovery codes.");
  box.hidden = true;
  return { control, box };
}

// Does `work` with what proves the person; a code that is then asked for has its field shown.
async function proving(second, work) {
  try {
    const done = await work(second.control.value.trim() ? { second: second.control.value.trim() } : {});
    second.control.value = "";
    return done;
  } catch (error) {
    if (error.reason === "second-factor-needed" || error.reason === "clock-wrong") {
      second.box.hidden = false;
      second.control.focus();
    }
    throw error;
  }
}

function loginView() {
  const name = nameControl();
  const secret = password("Password", "current-password");
  const second = secondFactor();
  const label = codeControl();
  label.required = false;
  return card("Log in", form([field("Name", name), secret.box, second.box], "Log in", async () => {
    await proving(second, async (more) => {
      const body = { name: name.value.trim(), password: secret.control.value, ...more };
      if (label.value.trim()) body.label = label.value.trim();
      session.open(await ask("POST", "/v1/login", body));
    });
    await begin();
  }), make("details", { id: "kept-out" }, make("summary", {}, "Kept out by guesses of others?"),
    field("Code on the device's label", label, "Press the device's button, then log in within two minutes.")));
}

// Somebody becomes a person of this device by a code: an invitation's, or a transfer's.
function enterForm(path, codeLabel, label, done) {
  const code = codeControl();
  const name = nameControl();
  const secret = password("Your new password", "new-password", "At least 15 characters. A few words that only you would put together are good.");
  return form([field(codeLabel, code), field("Your name here", name), secret.box], label, async () => {
    const body = { code: code.value.trim(), name: name.value.trim(), password: secret.control.value };
    session.open(await ask("POST", path, body));
    await arrive(done);
  });
}

// A transfer may erase first: the device then restarts, and the session is there after it.
async function arrive(done) {
  for (let tries = 0; ; tries += 1) {
    try {
      await begin();
      say(done);
      return;
    } catch (error) {
      if (error.reason !== "resetting" && error.reason !== "unavailable" && error instanceof Refused) throw error;
      if (tries >= 60) throw error;
      document.getElementById("view").replaceChildren(card("One moment", hint("The device erases what was before, and restarts.")));
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

function otherWaysView() {
  const label = codeControl();
  return card("New here?",
    make("details", { id: "join" }, make("summary", {}, "I was invited"),
      enterForm("/v1/join", "Code of the invitation", "Join", "Welcome. You have an account here now.")),
    make("details", { id: "accept" }, make("summary", {}, "The owner gives me this device"),
      enterForm("/v1/transfer/accept", "Code of the transfer", "Take it", "This device is yours.")),
    make("details", { id: "takeover" }, make("summary", {}, "Its owner is gone, or I forgot the password"),
      hint("Press the device's button, then send the code on its label. Keep the device running: unless its owner objects, it erases itself when the waiting time is over, and can be claimed anew."),
      form([field("Code on the label", label)], "Ask for the device", async () => {
        const begun = await ask("POST", "/v1/takeover", { code: label.value.trim() });
        say(`The device is free when it has run for ${hours(begun.seconds_left)}, unless its owner objects.`);
      })));
}

function hours(seconds) {
  return `${Math.ceil(seconds / 3600)} h`;
}
