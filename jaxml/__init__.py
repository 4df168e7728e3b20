"""jaxml: why a network trains, or does not.

Four rooms that do not know each other: `problem` (what is learned), `learn` (how),
`curvature` (how the loss bends) and `record` (what happened). They meet by argument.
Import the room you need.
"""

__version__ = "0.1.0"
