# The broker of majortomo, from PyPI.
import sys

from majortomo.broker import Broker

Broker(bind=sys.argv[1]).run()
