// openid-client and jose against both issuers. Prints a line for each thing proven; stops at the first that is not so.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import * as jose from 'jose';
import * as client from 'openid-client';

const env = process.env;
const jwk = JSON.parse(fs.readFileSync(env.CLIENT_JWK));
const key = await jose.importJWK(jwk, 'RS256');

function assertion(issuer, changes) {
  return new jose.SignJWT({ scope: env.SCOPE, resource: env.RESOURCE, jti: crypto.randomUUID(), ...changes })
    .setProtectedHeader({ alg: 'RS256', kid: jwk.kid })
    .setIssuer(env.CLIENT_ID)
    .setAudience(issuer)
    .setIssuedAt()
    .setExpirationTime('100s')
    .sign(key);
}

async function road(address, algorithm) {
  const found = await client.discovery(new URL(address), env.CLIENT_ID, undefined, client.None(), { algorithm });
  const { issuer, jwks_uri: keySet } = found.serverMetadata();
  assert.equal(issuer, address);
  const ask = async (changes) =>
    client.genericGrantRequest(found, 'urn:ietf:params:oauth:grant-type:jwt-bearer', { assertion: await assertion(issuer, changes) });
  const answer = await ask({});
  assert.equal(answer.scope, env.SCOPE);
  const keys = jose.createRemoteJWKSet(new URL(keySet));
  const { payload } = await jose.jwtVerify(answer.access_token, keys, { issuer, audience: env.RESOURCE });
  return { ask, payload };
}

const skyporten = await road(env.SKYPORTEN, 'oidc');
assert.equal(skyporten.payload.sub, env.SUBJECT);
console.log('a token of Skyporten, found by OpenID discovery and verified');

const maskinporten = await road(env.MASKINPORTEN, 'oauth2');
assert.equal(maskinporten.payload.consumer.ID, env.SUBJECT.split(';')[0]);
console.log('a token of Maskinporten, found by RFC 8414 and verified');

await assert.rejects(skyporten.ask({ scope: 'nobody:has.it' }), (error) => {
  assert.equal(error.name, 'ResponseBodyError');
  assert.equal(error.error, 'invalid_scope');
  assert.equal(error.status, 400);
  return error.error_description.includes('nobody:has.it');
});
console.log('a scope nobody has is refused with its name');

const used = { jti: crypto.randomUUID() };
await skyporten.ask(used);
await assert.rejects(skyporten.ask(used), (error) => error.error === 'invalid_grant');
console.log('an assertion is good once');
