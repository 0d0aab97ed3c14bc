"""Run other tools' results through the public API and list where the numbers differ."""
