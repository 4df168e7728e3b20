"""Speed on this machine against the alternatives."""

from jaxml.bench.catalogue import markdown, names, run
