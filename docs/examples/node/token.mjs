const { TOKEN_ENDPOINT, CLIENT, SCOPE, RESOURCE } = process.env;
const answer = await fetch(TOKEN_ENDPOINT, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ identity_provider: CLIENT, target: SCOPE, resource: RESOURCE }),
});
if (!answer.ok) throw new Error(await answer.text());
const { access_token: token } = await answer.json();
console.log(token.length);
