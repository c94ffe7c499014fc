"""The whole OAuth flow and a few calls with FastMCP, told line by line in JSON.

usage: fastmcp_client.py MCP_URL CALLS
CALLS is JSON: [{"name": TOOL, "arguments": {...}}, ...]. Lines: {"authorize": URL} wants a browser, then {"tools": [...]},
{"call": NAME, "is_error": ..., "text": ..., "structured": ...} for each call, {"token": ...}, {"done": true}.
"""

import asyncio
import json
import sys
import webbrowser

from fastmcp import Client
from fastmcp.client.auth import OAuth


def tell(**line):
    print(json.dumps(line), flush=True)


async def main(url, calls):
    # the flow opens a browser; here somebody else follows the pages
    webbrowser.open = lambda address, *_, **__: tell(authorize=address)
    oauth = OAuth(callback_timeout=60)
    async with Client(url, auth=oauth) as client:
        tell(tools=[tool.name for tool in await client.list_tools()])
        for call in calls:
            answer = await client.call_tool(call["name"], call["arguments"], raise_on_error=False)
            tell(
                call=call["name"],
                is_error=answer.is_error,
                text="\n".join(block.text for block in answer.content if block.type == "text"),
                structured=answer.structured_content,
            )
    tokens = await oauth.token_storage_adapter.get_tokens()
    tell(token=tokens.access_token)
    tell(done=True)


asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
