"""The operations of NGSIv1 over the one engine: NGSI10 and NGSI9, as Orion 3 has them."""
