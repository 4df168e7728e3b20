"""The code that a study can reach: what decides its arrays, and what decides its
verdicts and figures.

Standard library only, and nothing is run. The study's own file and the modules beside
it count statement by statement, as far as names lead; jaxml counts module by module;
other packages are covered by their versions. Comments, docstrings and format do not
count. Too much may be reached, never too little, but for what no source shows: code in
text (`exec`), files that are opened, a module imported under a computed name, and a
function that changes another module's variables on import.
"""

from jaxml.closure.parts import Closure, changes
from jaxml.closure.reach import COMPUTING, JUDGING, asserting, computing, judging
