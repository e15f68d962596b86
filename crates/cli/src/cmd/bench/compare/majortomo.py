# The broker of the PyPI package majortomo.
import sys

from majortomo.broker import Broker

Broker(bind=sys.argv[1]).run()
