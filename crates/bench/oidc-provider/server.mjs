// The server that the issuer is compared with: client credentials, private_key_jwt, access tokens as JWT (RS256 or ES256, as the key says), everything in memory.
// Arguments: issuer URL, file with the issuer's private JWK, file with the client's public JWK, client id.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import Provider, { errors } from 'oidc-provider';

const [url, keyFile, clientKeyFile, clientId] = process.argv.slice(2);
const json = (file) => JSON.parse(readFileSync(file, 'utf8'));
const alg = json(keyFile).alg ?? 'RS256';
const resource = 'https://skyporten.example.no';

const provider = new Provider(url, {
  clients: [{
    client_id: clientId,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'RS256',
    id_token_signed_response_alg: alg,
    jwks: { keys: [json(clientKeyFile)] },
    scope: 'read',
  }],
  jwks: { keys: [{ ...json(keyFile), use: 'sig' }] },
  scopes: ['read'],
  ttl: { ClientCredentials: 120 },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      useGrantedResource: () => true,
      getResourceServerInfo: (_, indicator) => {
        if (indicator !== resource) throw new errors.InvalidTarget();
        return { audience: resource, scope: 'read', accessTokenFormat: 'jwt', accessTokenTTL: 120, jwt: { sign: { alg } } };
      },
    },
  },
});

const server = createServer(provider.callback());
server.listen(0, '127.0.0.1', () => console.log(`ready 127.0.0.1:${server.address().port}`));
