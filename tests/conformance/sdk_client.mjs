// The whole OAuth flow and a few calls with the TypeScript SDK, told line by line in JSON.
//
// usage: sdk_client.mjs MCP_URL CALLS, with the same lines as fastmcp_client.py.

import { createServer } from 'node:http';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

/** Waits for the browser to come back from the authorization server. */
async function callback() {
    let arrived;
    const code = new Promise((resolve) => (arrived = resolve));
    const server = createServer((request, response) => {
        const url = new URL(request.url, 'http://127.0.0.1');
        response.end('signed in, you may close this page');
        if (url.pathname === '/callback') arrived(url.searchParams);
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    return { redirectUrl: `http://127.0.0.1:${server.address().port}/callback`, code, server };
}

/** Keeps in memory what the SDK wants kept. */
function memory(redirectUrl, asked) {
    const kept = {};
    return {
        kept,
        redirectUrl,
        clientMetadata: {
            client_name: 'glasshouse conformance',
            redirect_uris: [redirectUrl],
            grant_types: ['authorization_code', 'refresh_token'],
            response_types: ['code'],
            token_endpoint_auth_method: 'none',
        },
        state: () => asked.state,
        clientInformation: () => kept.client,
        saveClientInformation: (client) => (kept.client = client),
        tokens: () => kept.tokens,
        saveTokens: (tokens) => (kept.tokens = tokens),
        redirectToAuthorization: (url) => tell({ authorize: url.href }),
        saveCodeVerifier: (verifier) => (kept.verifier = verifier),
        codeVerifier: () => kept.verifier,
    };
}

async function connect(url, provider) {
    const client = new Client({ name: 'glasshouse-conformance', version: '1' });
    const transport = new StreamableHTTPClientTransport(url, { authProvider: provider });
    try {
        await client.connect(transport);
        return { client };
    } catch (error) {
        if (error instanceof UnauthorizedError) return { transport };
        throw error;
    }
}

const url = new URL(process.argv[2]);
const calls = JSON.parse(process.argv[3]);
const { redirectUrl, code, server } = await callback();
const asked = { state: crypto.randomUUID() };
const provider = memory(redirectUrl, asked);

const first = await connect(url, provider);
if (first.client) throw new Error('served without a token');
const answer = await code;
server.close();
if (answer.get('state') !== asked.state) throw new Error('the state came back changed');
await first.transport.finishAuth(answer.get('code'));
const { client } = await connect(url, provider);
if (!client) throw new Error('not served with a token');

tell({ tools: (await client.listTools()).tools.map((tool) => tool.name) });
for (const { name, arguments: input } of calls) {
    const result = await client.callTool({ name, arguments: input });
    tell({
        call: name,
        is_error: result.isError ?? false,
        text: result.content.filter((block) => block.type === 'text').map((block) => block.text).join('\n'),
        structured: result.structuredContent ?? null,
    });
}
await client.close();
tell({ token: provider.kept.tokens.access_token });
tell({ done: true });
process.exit(0);
