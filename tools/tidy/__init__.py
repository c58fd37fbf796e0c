"""The house rules of this repository, as tests. See README.md."""
