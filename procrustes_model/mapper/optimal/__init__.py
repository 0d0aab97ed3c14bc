"""The search that proves: lower bounds, and labels that are followed best first."""
