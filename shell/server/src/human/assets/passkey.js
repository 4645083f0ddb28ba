// Passkeys: asks the server for a challenge, the browser for an answer, and hands it back. Makes no markup.
"use strict";

const encode = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const decode = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));

async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", "x-tabard-request": "1" },
    body: JSON.stringify(body),
  });
  const value = await answer.json();
  if (!answer.ok) throw new Error([value.title, value.fix].filter(Boolean).join(" "));
  return value;
}

async function assert(path, begun) {
  const credential = await navigator.credentials.get({
    publicKey: {
      challenge: decode(begun.challenge),
      rpId: begun.rp_id,
      timeout: begun.timeout_ms,
      userVerification: "required",
      allowCredentials: [],
    },
  });
  const { clientDataJSON, authenticatorData, signature, userHandle } = credential.response;
  return post(path, {
    id: encode(credential.rawId),
    client_data: encode(clientDataJSON),
    authenticator_data: encode(authenticatorData),
    signature: encode(signature),
    user_handle: userHandle ? encode(userHandle) : null,
  });
}

async function create(path, begun, more) {
  const credential = await navigator.credentials.create({
    publicKey: {
      challenge: decode(begun.challenge),
      rp: { id: begun.rp_id, name: "Tabard" },
      user: { id: decode(begun.user_handle), name: begun.name, displayName: begun.name },
      pubKeyCredParams: begun.algorithms.map((alg) => ({ type: "public-key", alg })),
      timeout: begun.timeout_ms,
      attestation: "none",
      excludeCredentials: begun.known.map((id) => ({ type: "public-key", id: decode(id) })),
      authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" },
    },
  });
  const { clientDataJSON, attestationObject } = credential.response;
  return post(path, {
    client_data: encode(clientDataJSON),
    attestation_object: encode(attestationObject),
    ...more,
  });
}

const ceremonies = {
  login: async () => assert("/ui/login/passkey", await post("/ui/login/passkey/begin", {})),
  verify: async () => assert("/ui/verify/passkey", await post("/ui/verify/passkey/begin", {})),
  enrol: async (form) =>
    create("/ui/passkeys/add", await post("/ui/passkeys/begin", {}), { label: form.elements.label.value }),
  invite: async (form) =>
    create("/ui/invite/passkey", await post("/ui/invite/begin", { code: form.elements.code.value.trim() }), {
      label: form.elements.label.value,
    }),
};

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const status = form.querySelector("[role=status]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    status.textContent = "Waiting for your passkey…";
    try {
      const done = await ceremonies[form.dataset.passkey](form);
      status.textContent = "Done.";
      location.assign(done.to || form.dataset.to);
    } catch (error) {
      status.textContent = error.name === "NotAllowedError" ? "Nothing was chosen. Try again." : error.message;
    }
  });
}

// The code of an invite stands in the fragment of its link, and leaves the address bar at once.
const code = location.hash.slice(1);
if (code) {
  for (const field of document.querySelectorAll("input[name=code]")) field.value = code;
  history.replaceState(null, "", location.pathname);
}
