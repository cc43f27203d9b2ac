// Whether the packages are there.
await import('openid-client');
await import('jose');
await import('@vtfk/maskinporten-auth');
