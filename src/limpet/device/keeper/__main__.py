"""`python -m limpet.device.keeper`: started by the supervisor."""

from limpet.device.keeper._serving import main

main()
