"""A relay for tests, on aiosmtpd: takes letters, and misbehaves when the local
part of the recipient says so.

    relay.py LOG [--cert FILE --key FILE --tls implicit|starttls] [--user NAME --password WORD]

Prints the port that it listens on, then appends each letter taken to LOG as a
line of JSON, on disk before the answer.
"""

import argparse
import asyncio
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult


class Handler:
    def __init__(self, log):
        self.log = log

    def note(self, envelope):
        with open(self.log, "a", encoding="utf-8") as f:
            line = {
                "from": envelope.mail_from,
                "to": envelope.rcpt_tos,
                "data": envelope.content.decode("ascii"),
            }
            f.write(json.dumps(line) + "\n")
            f.flush()
            os.fsync(f.fileno())

    async def handle_RCPT(self, server, session, envelope, address, options):
        who = address.split("@")[0]
        if who == "unknown":
            return "550 5.1.1 no such person"
        if who == "busy":
            return "451 4.3.0 come again"
        if who == "hangup":
            server.transport.abort()
            await asyncio.sleep(60)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        who = envelope.rcpt_tos[0].split("@")[0]
        if who == "spam":
            return "554 5.7.1 not wanted"
        if who == "full":
            return "452 4.2.2 mailbox full"
        self.note(envelope)
        if who == "lost":
            # Taken, and nobody hears of it.
            server.transport.abort()
            await asyncio.sleep(60)
        return "250 2.0.0 taken"


def main():
    p = argparse.ArgumentParser()
    p.add_argument("log")
    p.add_argument("--cert")
    p.add_argument("--key")
    p.add_argument("--tls", default="")
    p.add_argument("--user")
    p.add_argument("--password")
    a = p.parse_args()
    context = None
    if a.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(a.cert, a.key)
    options = {"enable_SMTPUTF8": False, "hostname": "relay.test"}
    if a.tls == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    if a.user:

        def check(server, session, envelope, mechanism, data):
            good = data.login == a.user.encode() and data.password == a.password.encode()
            return AuthResult(success=good)

        options |= {
            "authenticator": check,
            "auth_required": True,
            "auth_require_tls": a.tls == "starttls",
        }
    handler = Handler(a.log)

    async def serve():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: SMTP(handler, **options),
            "127.0.0.1",
            0,
            ssl=context if a.tls == "implicit" else None,
        )
        print(server.sockets[0].getsockname()[1], flush=True)
        # Ends with the test: its standard input closes.
        await loop.run_in_executor(None, sys.stdin.read)
        os._exit(0)

    asyncio.run(serve())


main()
