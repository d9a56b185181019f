"""The measuring instruments: each looks at one thing and returns plain frozen data.

Owns sockets, files and processes of the audit. Must never judge what it saw, and
must never send the owner's token to a peer whose certificate did not verify.
"""
