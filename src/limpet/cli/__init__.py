"""The command line: one module per command; it only parses arguments and prints.

Owns nothing that another front end would need: what a command does lives in the
package of its subject. `main` lists the commands and loads one of them, `_frame`
is what all of them share.
"""
