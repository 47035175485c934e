"""A real SMTP server for tests: keeps letters as lines of JSON, read by Python's own parser."""

import argparse
import asyncio
import email
import json
import ssl
from email import policy

from aiosmtpd.smtp import SMTP, AuthResult


class Handler:
    def __init__(self, path):
        self.path = path

    async def handle_RCPT(self, server, session, envelope, address, options):
        name = address.split("@")[0]
        if name == "nobody":
            return f"550 5.1.1 <{address}> is not known here"
        if name == "later":
            return f"451 4.3.0 <{address}> may be known later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 fine"

    async def handle_DATA(self, server, session, envelope):
        parsed = email.message_from_bytes(envelope.original_content, policy=policy.default)
        letter = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "headers": [[name, str(value)] for name, value in parsed.items()],
            "text": parsed.get_content(),
            "tls": session.ssl is not None,
            "login": bool(session.authenticated),
        }
        with open(self.path, "a", encoding="utf-8") as box:
            box.write(json.dumps(letter, ensure_ascii=False) + "\n")
        return "250 2.0.0 taken"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--box", required=True)
    parser.add_argument("--login")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    args = parser.parse_args()

    def known(server, session, envelope, mechanism, data):
        told = f"{data.login.decode()}:{data.password.decode()}"
        return AuthResult(success=told == args.login, handled=False)

    context = None
    if args.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(args.certificate, args.key)

    def connection():
        return SMTP(
            Handler(args.box),
            enable_SMTPUTF8=False,
            tls_context=context,
            require_starttls=context is not None,
            authenticator=known if args.login else None,
            auth_required=args.login is not None,
            auth_require_tls=context is not None,
        )

    async def serve():
        loop = asyncio.get_running_loop()
        server = await loop.create_server(connection, "127.0.0.1", args.port)
        async with server:
            await server.serve_forever()

    asyncio.run(serve())


main()
