"""Why a training fails: the course's general guide as a function."""
