"""`python -m limpet.device.attach ROLE DEVICE`: by a service manager, as the role's user."""

from limpet.device.attach._main import main

main()
