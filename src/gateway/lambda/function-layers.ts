/** The layers of a function: from the ARNs in a request to the versions that are meant, and Lambda's rules about them. */
import { UserError } from '../../base/errors.ts';
import { LIMITS } from '../../base/limits.ts';
import type { CodeRef, LayerUse, Store } from '../../store/store.ts';
import type { GatewayContext } from '../route.ts';
import { layerVersionArn, parseLayerVersionArn, regionOf } from './layer-names.ts';

/** `arns` fit the pattern of a layer version's ARN. */
export function findLayers(context: GatewayContext, arns: readonly string[]): readonly LayerUse[] | UserError {
  const { layersPerFunctionMax } = LIMITS;
  if (arns.length > layersPerFunctionMax) return invalid(`Cannot reference more than ${layersPerFunctionMax} layers.`);
  const layers: LayerUse[] = [];
  for (const arn of arns) {
    const layer = findLayer(context, arn);
    if (layer instanceof UserError) return layer;
    const twin = layers.find((other) => other.layerName === layer.layerName);
    if (twin !== undefined) {
      return invalid(
        'Two different versions of the same layer are not allowed to be referenced in the same function. ' +
          `${arn} and ${layerVersionArn(context.account, twin)} are versions of the same layer.`,
      );
    }
    layers.push(layer);
  }
  return layers;
}

function findLayer({ account, platform }: GatewayContext, arn: string): LayerUse | UserError {
  if (regionOf(arn) !== account.region) {
    return invalid(
      `Layers are not in the same region as the function. Layers are expected to be in region ${account.region}.`,
    );
  }
  const ref = parseLayerVersionArn(account, arn);
  const version = ref === null ? null : platform.store.getLayerVersion(ref.layerName, ref.version);
  if (version === null) return invalid(`Layer version ${arn} does not exist.`);
  return { layerName: version.layerName, version: version.version, code: version.code };
}

/** What a function and its layers unpack to, all together. */
export async function tooLargeTogether(
  store: Store,
  code: CodeRef,
  layers: readonly LayerUse[],
): Promise<UserError | null> {
  if (layers.length === 0) return null;
  const sizes = await Promise.all(
    [code, ...layers.map((layer) => layer.code)].map((each) => store.unzippedBytes(each)),
  );
  let bytes = 0;
  for (const size of sizes) {
    if (size instanceof UserError) return size;
    bytes += size;
  }
  if (bytes <= LIMITS.unzippedBytesMax) return null;
  return invalid(
    `Function code combined with layers exceeds the maximum allowed size of ${LIMITS.unzippedBytesMax} bytes. ` +
      `The actual size is ${bytes} bytes.`,
  );
}

function invalid(message: string): UserError {
  return new UserError('InvalidParameterValueException', message);
}
