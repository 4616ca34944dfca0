// Drives the official SDK against the sandbox on localhost:8080 (env 'local')
// and prints what it saw as one JSON document. sdk_test.go judges it.
'use strict';

const { PeriskopeApi } = require('@periskope/periskope-client');

const client = new PeriskopeApi({ authToken: 'test', phone: process.argv[2], env: 'local' });

async function ok(call, status) {
  const { data, error, status: got } = await call;
  if (error || got !== status) {
    throw new Error(`status ${got}, want ${status}: ${error && error.message}`);
  }
  return data;
}

async function main() {
  const seen = {};
  seen.text = await ok(client.message.send({ chat_id: '12015550001@c.us', message: 'Hi *Asha* & <co>' }), 200);
  seen.media = await ok(client.message.send({
    chat_id: '12015550101',
    message: 'caption',
    media: { type: 'document', filedata: 'aGVsbG8=', filename: 'a.pdf', mimetype: 'application/pdf' },
  }), 200);
  seen.poll = await ok(client.message.send({
    chat_id: '12015550102@c.us',
    poll: { pollName: 'Friday?', pollOptions: ['Yes', 'No'], options: { pollId: 'cmp:v1', allowMultipleAnswers: false } },
  }), 200);
  seen.message = await ok(client.message.getById({ message_id: seen.text.queue_id }), 200);
  seen.again = await ok(client.message.getById({ message_id: seen.message.message_id }), 200);
  seen.jobs = await ok(client.queue.getJobs({ queue_id: seen.poll.queue_id }), 200);
  seen.all_jobs = await ok(client.queue.getJobs({}), 200);
  seen.queue = await ok(client.queue.getStatus(), 200);
  seen.phone = await ok(client.phone.info(), 200);
  seen.phones = await ok(client.phone.getAll(), 200);
  seen.hook = await ok(client.webhook.create({ hookUrl: 'https://example.com/hook', integrationName: 'message.created' }), 201);
  seen.hooks = await ok(client.webhook.list({ hook_url: 'https://example.com/hook' }), 200);
  const id = [].concat(seen.hook)[0].id;
  await client.webhook.delete({ id });
  seen.hooks_after = await ok(client.webhook.list(), 200);
  const refused = await client.message.send({ chat_id: '12015550103' });
  seen.refused = { status: refused.status, code: refused.error.code, message: refused.error.message };
  process.stdout.write(JSON.stringify(seen));
}

main().catch((err) => {
  process.stderr.write(`${err.stack}\n`);
  process.exitCode = 1;
});
