"""NGSIv2 as Orion 4.7 speaks it: JSON documents to the model of `ngsi.model` and back."""
