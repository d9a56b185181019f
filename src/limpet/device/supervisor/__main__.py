"""`python -m limpet.device.supervisor`: started by boot, from a slot."""

from limpet.device.supervisor._main import main

main()
