"""How far features move, and how far training is from its idealisations."""
