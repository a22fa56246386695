"""The TensorFlow operations that a module may hold: those that compute, and nothing else.

A list of what is allowed, not of what is dangerous: an operation that TensorFlow gains tomorrow, or
that a library registers, is refused until somebody has looked at it. None of these reads or writes
a file, opens a connection, prints, calls Python, or parses a file format.
"""

from __future__ import annotations

__all__ = ["ALLOWED", "RESTORING", "SAVING"]

_STRUCTURE = """
Assert BroadcastArgs BroadcastGradientArgs BroadcastTo CheckNumerics Const DisableCopyOnRead
EnsureShape ExpandDims Identity IdentityN NoOp OnesLike Placeholder PlaceholderWithDefault
PreventGradient Rank Reshape Shape ShapeN Size Snapshot Squeeze StopGradient ZerosLike Fill Empty
Cast Bitcast Range LinSpace
"""
_CONTROL = """
Case Enter Exit If LoopCond Merge NextIteration PartitionedCall StatefulPartitionedCall
StatelessCase StatelessIf StatelessWhile Switch SymbolicGradient While
"""
_VARIABLES = """
Assign AssignAdd AssignAddVariableOp AssignSub AssignSubVariableOp AssignVariableOp
DestroyResourceOp IsVariableInitialized ReadVariableOp ResourceGather ResourceGatherNd VarHandleOp
VarIsInitializedOp Variable VariableShape VariableV2
"""
_ARRAYS = """
BatchToSpace BatchToSpaceND Bucketize Concat ConcatV2 DepthToSpace Diag DiagPart DynamicPartition
DynamicStitch ExtractImagePatches Gather GatherNd GatherV2 InvertPermutation MatrixBandPart
MatrixDiag MatrixDiagPart MatrixDiagPartV2 MatrixDiagPartV3 MatrixDiagV2 MatrixDiagV3
MatrixSetDiag MatrixSetDiagV2 MatrixSetDiagV3 MirrorPad OneHot Pack Pad PadV2
ParallelDynamicStitch Reverse ReverseSequence ReverseV2 Roll ScatterNd Select SelectV2 Slice
SpaceToBatch SpaceToBatchND SpaceToDepth Split SplitV StridedSlice TensorScatterAdd
TensorScatterMax TensorScatterMin TensorScatterSub TensorScatterUpdate Tile Transpose Unique
UniqueV2 Unpack Where
"""
_LISTS = """
EmptyTensorList TensorListConcatV2 TensorListElementShape TensorListFromTensor TensorListGather
TensorListGetItem TensorListLength TensorListPopBack TensorListPushBack TensorListReserve
TensorListResize TensorListSetItem TensorListStack TensorArrayV3 TensorArrayReadV3
TensorArrayWriteV3 TensorArrayGatherV3 TensorArrayScatterV3 TensorArraySizeV3 TensorArrayCloseV3
"""
_ARITHMETIC = """
Abs Acos Acosh Add AddN AddV2 AccumulateNV2 Angle ApproximateEqual Asin Asinh Atan Atan2 Atanh
BesselI0 BesselI0e BesselI1 BesselI1e BesselJ0 BesselJ1 BesselK0 BesselK0e BesselK1 BesselK1e
Betainc BitwiseAnd BitwiseOr BitwiseXor Ceil ClipByValue Complex ComplexAbs Conj Cos Cosh Cross
Cumprod Cumsum CumulativeLogsumexp Digamma Div DivNoNan Equal Erf Erfc Erfinv Exp Expm1 Floor
FloorDiv FloorMod Greater GreaterEqual Igamma Igammac Imag Inv Invert IsFinite IsInf IsNan
LeftShift Less LessEqual Lgamma Log Log1p LogicalAnd LogicalNot LogicalOr Maximum Minimum Mod Mul
MulNoNan Ndtri Neg NextAfter NotEqual Polygamma Pow Real RealDiv Reciprocal RightShift Rint Round
Rsqrt Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Square SquaredDifference Sub Tan Tanh
TruncateDiv TruncateMod Xdivy Xlog1py Xlogy Zeta
"""
_REDUCTIONS = """
All Any ArgMax ArgMin Bincount DenseBincount EuclideanNorm HistogramFixedWidth InTopKV2 Max Mean
Min Prod SegmentMax SegmentMean SegmentMin SegmentProd SegmentSum Sum TopK TopKV2
UnsortedSegmentMax UnsortedSegmentMin UnsortedSegmentProd UnsortedSegmentSum
"""
_LINEAR_ALGEBRA = """
BatchMatMul BatchMatMulV2 BatchMatMulV3 Cholesky Einsum MatMul MatrixDeterminant MatrixInverse
MatrixSolve MatrixTriangularSolve Qr SelfAdjointEigV2 Svd TensorContraction
"""
_FOURIER = """
FFT FFT2D FFT3D IFFT IFFT2D IFFT3D IRFFT IRFFT2D IRFFT3D RFFT RFFT2D RFFT3D
"""
_NETWORKS = """
AvgPool AvgPool3D BiasAdd BiasAddV1 Conv2D Conv2DBackpropInput Conv3D Conv3DBackpropInputV2
CropAndResize DepthwiseConv2dNative Elu FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3
ImageProjectiveTransformV2 ImageProjectiveTransformV3 L2Loss LRN LeakyRelu LogSoftmax MaxPool
MaxPoolV2 Relu Relu6 ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor
ScaleAndTranslate Selu Softmax SparseSoftmaxCrossEntropyWithLogits
"""
_GRADIENTS = """
AvgPoolGrad BiasAddGrad ConcatOffset Conv2DBackpropFilter EluGrad FusedBatchNormGradV3 InvGrad
LeakyReluGrad MaxPoolGrad MirrorPadGrad ReciprocalGrad Relu6Grad ReluGrad ResizeBilinearGrad
ResizeNearestNeighborGrad RsqrtGrad SeluGrad SigmoidGrad SoftplusGrad SoftsignGrad SqrtGrad
StridedSliceGrad TanhGrad
"""
# Initial values of variables are drawn in the graphs of TensorFlow 1.
_RANDOM = """
Multinomial RandomGamma RandomShuffle RandomStandardNormal RandomUniform RandomUniformInt
StatelessMultinomial StatelessRandomGetAlg StatelessRandomGetKeyCounter StatelessRandomNormal
StatelessRandomNormalV2 StatelessRandomUniform StatelessRandomUniformV2
StatelessTruncatedNormal StatelessTruncatedNormalV2 TruncatedNormal
"""
# Text is only joined and compared: the functions that save variables do so.
_TEXT = "StaticRegexFullMatch StringJoin"

ALLOWED = frozenset(
    " ".join(
        [
            _STRUCTURE,
            _CONTROL,
            _VARIABLES,
            _ARRAYS,
            _LISTS,
            _ARITHMETIC,
            _REDUCTIONS,
            _LINEAR_ALGEBRA,
            _FOURIER,
            _NETWORKS,
            _GRADIENTS,
            _RANDOM,
            _TEXT,
        ]
    ).split()
)
# Every SavedModel holds these, to write and to read its variables.
SAVING = frozenset({"MergeV2Checkpoints", "SaveV2", "ShardedFilename"})
RESTORING = frozenset({"RestoreV2"})
