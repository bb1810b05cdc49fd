"""Registers of others that are looked into, and how services outside are asked."""
