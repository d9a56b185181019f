"""`python -m limpet.device.boot ROOT`: run a device."""

from limpet.device.boot._main import main

main()
