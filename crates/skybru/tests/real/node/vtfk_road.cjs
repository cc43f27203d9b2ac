// The client @vtfk/maskinporten-auth, which knows business certificates only. Prints a line for each thing proven.
const fs = require('node:fs');
const assert = require('node:assert');
const getToken = require('@vtfk/maskinporten-auth');

const { MASKINPORTEN, CLIENT_ID, SCOPE, CERTIFICATE, PRIVATE_KEY } = process.env;
const base64 = (file) => fs.readFileSync(file).toString('base64');
const options = {
  url: `${MASKINPORTEN}token`, audience: MASKINPORTEN, issuer: CLIENT_ID, scope: SCOPE,
  pemcert: base64(CERTIFICATE), pemprivateKey: base64(PRIVATE_KEY),
};

(async () => {
  const answer = await getToken(options);
  const claims = JSON.parse(Buffer.from(answer.access_token.split('.')[1], 'base64url'));
  assert.equal(claims.client_amr, 'virksomhetssertifikat');
  assert.deepEqual(Object.keys(answer).sort(), ['access_token', 'expires_in', 'scope', 'token_type']);
  console.log('a token for a business certificate');

  await assert.rejects(getToken({ ...options, scope: 'no:such.scope' }), (error) => {
    assert.equal(error.response.status, 400);
    assert.equal(error.response.data.error, 'invalid_scope');
    return true;
  });
  console.log('refused: invalid_scope');
})();
