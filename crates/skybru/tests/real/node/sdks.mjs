// Reads one object with a cloud's own SDK, which finds its credentials in the environment alone; see ../go/main.go.
import { pipeline } from 'node:stream/promises';

const [which, bucket, key] = process.argv.slice(2);
const env = process.env;

async function azure(which) {
  const identity = await import('@azure/identity');
  const { BlobServiceClient } = await import('@azure/storage-blob');
  const credential = {
    'azure-default': () => new identity.DefaultAzureCredential(),
    // A local authority is not in Microsoft's list, which the SDK would ask else.
    'azure-workload': () => new identity.WorkloadIdentityCredential({ disableInstanceDiscovery: true }),
    'azure-managed': () => new identity.ManagedIdentityCredential(),
  }[which]();
  const service = new BlobServiceClient(env.AZURE_STORAGE_BLOB_ENDPOINT, credential, { retryOptions: { maxTries: 1 } });
  return (await service.getContainerClient(bucket).getBlobClient(key).download()).readableStreamBody;
}

async function aws() {
  const { S3Client, GetObjectCommand } = await import('@aws-sdk/client-s3');
  return (await new S3Client({ forcePathStyle: true }).send(new GetObjectCommand({ Bucket: bucket, Key: key }))).Body;
}

async function google() {
  const { Storage } = await import('@google-cloud/storage');
  const apiEndpoint = env.STORAGE_EMULATOR_HOST;
  // The emulator's variable would turn authentication off; the lab wants it.
  delete env.STORAGE_EMULATOR_HOST;
  // Without a project the SDK asks Google itself which one a workload pool belongs to.
  const storage = new Storage({ apiEndpoint, projectId: env.GOOGLE_CLOUD_PROJECT, useAuthWithCustomEndpoint: true, retryOptions: { autoRetry: false } });
  return storage.bucket(bucket).file(key).createReadStream();
}

if (which === 'present') {
  for (const name of ['@aws-sdk/client-s3', '@google-cloud/storage', '@azure/identity', '@azure/storage-blob']) await import(name);
  process.exit(0);
}
try {
  const content = which === 'aws' ? await aws() : which === 'google' ? await google() : await azure(which);
  await pipeline(content, process.stdout);
} catch (error) {
  console.error(`${error.name}: ${error.message}`);
  process.exitCode = 1;
}
